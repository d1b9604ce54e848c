"""MPNet (Song et al. 2020): BERT with a relative attention bias in addition to learned positions.

Its implementation fixes what its config could vary: the padding token is 1, so that positions begin
at row 2, and distances fall into 32 buckets up to 128.
"""

from typing import Any

from bothways.checkpoints.families import bert, roberta
from bothways.checkpoints.families.roberta import CLASSIFIERS, HEADS, MASKED_TOKENS
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import answer_spans
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable
from bothways.checkpoints.tokenizer_class import TokenizerClass
from bothways.model.config import EncoderConfig

_PADDING = 1


def read_offset(fields: Fields, values: dict[str, Any]) -> None:
    """Positions begin at row 2, and id 1 is not counted."""
    roberta.set_padding(values, _PADDING)


def write_offset(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_offset`."""
    return {
        "max_position_embeddings": config.max_length + _PADDING + 1,
        "relative_attention_num_buckets": config.relative_buckets,
    }


TOKENIZER = TokenizerClass(
    "MPNetTokenizer",
    "word_piece",
    {**roberta.TOKENIZER.special_tokens, "unk_token": "[UNK]"},
    separators=2,
)

MPNET = Family(
    model_type="mpnet",
    base_class="MPNetModel",
    tokenizer=TOKENIZER,
    rows={name: row for name, row in bert.FIELDS.items() if name != "type_vocab_size"}
    | {"vocab_size": ("vocab_size", 30527)},
    fixed={
        "position_embedding": "learned",
        "attention_positions": "relative",
        "relative_buckets": 32,
        "relative_max_distance": 128,
    },
    only={"relative_attention_num_buckets": (32,)},
    dropped=bert.UNUSED,
    read_quirks=read_offset,
    write_quirks=write_offset,
    heads=(*HEADS, answer_spans()),
    tables=(
        KeyTable(
            bert.POOLER
            | {
                "embeddings.word_embeddings.weight": "embedding.token.weight",
                "embeddings.position_embeddings.weight": "embedding.position.weight",
                "embeddings.LayerNorm.{p}": "embedding.norm.{p}",
                "embeddings.position_ids": None,  # a buffer: 0, 1, 2, ...
                "encoder.relative_attention_bias.weight": "relative_bias.weight",
                "encoder.layer.{i}.attention.attn.q.{p}": "blocks.{i}.attention.query.{p}",
                "encoder.layer.{i}.attention.attn.k.{p}": "blocks.{i}.attention.key.{p}",
                "encoder.layer.{i}.attention.attn.v.{p}": "blocks.{i}.attention.value.{p}",
                "encoder.layer.{i}.attention.attn.o.{p}": "blocks.{i}.attention.output.{p}",
                "encoder.layer.{i}.attention.LayerNorm.{p}": "blocks.{i}.attention_norm.{p}",
                "encoder.layer.{i}.intermediate.dense.{p}": "blocks.{i}.feed_forward.up.{p}",
                "encoder.layer.{i}.output.dense.{p}": "blocks.{i}.feed_forward.down.{p}",
                "encoder.layer.{i}.output.LayerNorm.{p}": "blocks.{i}.feed_forward_norm.{p}",
            },
            heads=MASKED_TOKENS | CLASSIFIERS,
            prefixes=("", "mpnet."),
            aliases=bert.ALIASES,
        ),
    ),
)

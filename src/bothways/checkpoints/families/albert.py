"""ALBERT (Lan et al. 2020): layers that share weights, and embeddings narrower than the model."""

from typing import Any

from bothways.checkpoints.families import bert
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import POOLER, answer_spans, classifier, masked_tokens
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable
from bothways.checkpoints.tokenizer_class import PieceIds, TokenizerClass
from bothways.errors import CheckpointError
from bothways.model.config import EncoderConfig


def read_groups(fields: Fields, values: dict[str, Any]) -> None:
    """Read the groups of layers: consecutive layers of a group share one block."""
    layers = values["num_layers"]
    groups = fields.integer("num_hidden_groups", 1, at_least=1)
    if groups > layers:
        raise CheckpointError(
            f"{fields.file}: num_hidden_groups={groups} is more than num_hidden_layers={layers}"
        )
    values["block_of_layer"] = tuple(int(layer / (layers / groups)) for layer in range(layers))


def write_groups(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_groups`."""
    return {
        "num_hidden_groups": config.num_blocks,
        "embedding_size": config.embedding_width,
        "inner_group_num": 1,
    }


_BLOCK = "encoder.albert_layer_groups.{i}.albert_layers.0"

ALBERT = Family(
    model_type="albert",
    base_class="AlbertModel",
    rows=dict(bert.FIELDS)
    | {
        "vocab_size": ("vocab_size", 30000),
        "embedding_size": ("embedding_size", 128),
        "hidden_size": ("d_model", 4096),
        "num_attention_heads": ("num_heads", 64),
        "intermediate_size": ("d_ff", 16384),
        "hidden_act": ("activation", "gelu_new"),
        "hidden_dropout_prob": ("dropout", 0.0),
        "attention_probs_dropout_prob": ("attention_dropout", 0.0),
    },
    only={
        **bert.ABSOLUTE_ONLY,
        "inner_group_num": (1,),
        # Variants of the first release that are not implemented anywhere.
        "net_structure_type": (0,),
        "gap_size": (0,),
        "num_memory_blocks": (0,),
        "down_scale_factor": (1,),
    },
    kept=("classifier_dropout_prob",),
    read_quirks=read_groups,
    write_quirks=write_groups,
    tokenizer=TokenizerClass(
        "AlbertTokenizer",
        "sentence_piece",
        {
            "unk_token": "<unk>",
            "sep_token": "[SEP]",
            "pad_token": "<pad>",
            "cls_token": "[CLS]",
            "mask_token": "[MASK]",
        },
        piece_ids=PieceIds(
            trailing=("mask_token",), lowercases=True, plain_quotes=True, segments=True
        ),
    ),
    heads=(masked_tokens(None, "ForPreTraining"), *classifier(POOLER, "tanh"), answer_spans()),
    tables=(
        KeyTable(
            bert.EMBEDDING
            | {
                "encoder.embedding_hidden_mapping_in.{p}": "embedding.projection.{p}",
                f"{_BLOCK}.attention.query.{{p}}": "blocks.{i}.attention.query.{p}",
                f"{_BLOCK}.attention.key.{{p}}": "blocks.{i}.attention.key.{p}",
                f"{_BLOCK}.attention.value.{{p}}": "blocks.{i}.attention.value.{p}",
                f"{_BLOCK}.attention.dense.{{p}}": "blocks.{i}.attention.output.{p}",
                f"{_BLOCK}.attention.LayerNorm.{{p}}": "blocks.{i}.attention_norm.{p}",
                f"{_BLOCK}.ffn.{{p}}": "blocks.{i}.feed_forward.up.{p}",
                f"{_BLOCK}.ffn_output.{{p}}": "blocks.{i}.feed_forward.down.{p}",
                f"{_BLOCK}.full_layer_layer_norm.{{p}}": "blocks.{i}.feed_forward_norm.{p}",
                "pooler.{p}": "heads.pooler.{p}",
            },
            heads={
                "predictions.dense.{p}": "heads.masked_tokens.dense.{p}",
                "predictions.LayerNorm.{p}": "heads.masked_tokens.norm.{p}",
                "predictions.decoder.weight": "heads.masked_tokens.weight",
                "predictions.decoder.bias": "heads.masked_tokens.decoder.bias",
                "predictions.bias": "heads.masked_tokens.bias",
                "sop_classifier.classifier.{p}": "heads.sentence_order.{p}",
                "classifier.{p}": "heads.classifier.{p}",
                "qa_outputs.{p}": "heads.answer_span.{p}",
            },
            prefixes=("", "albert."),
            aliases=bert.ALIASES,
        ),
    ),
)

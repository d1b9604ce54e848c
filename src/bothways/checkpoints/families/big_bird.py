"""BigBird (Zaheer et al. 2020): BERT for long texts.

Its attention is full, or block-sparse beyond some length: each block of positions then sees its
neighbors, the first and last blocks, and random ones. transformers computes full attention for
sequences up to that length, which become the longest that bothways takes.
"""

import math
from collections.abc import Mapping
from typing import Any

from bothways.checkpoints.families import bert, roberta
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import (
    HeadArchitecture,
    Settings,
    answer_spans,
    classifier,
    masked_tokens,
)
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable
from bothways.checkpoints.tokenizer_class import PieceIds, TokenizerClass
from bothways.checkpoints.weight_files import StoredWeights
from bothways.errors import LengthWarning
from bothways.io.caller import warn_caller
from bothways.model.config import EncoderConfig
from bothways.model.heads import HeadLayer

_POSITIONS = "embeddings.position_embeddings.weight"
_PREFIXES = ("", "bert.")


def read_attention(fields: Fields, values: dict[str, Any]) -> None:
    """Read the scale of the embeddings, and the longest sequence with full attention."""
    if fields.flag("rescale_embeddings", False):
        values["embedding_scale"] = math.sqrt(values["d_model"])
    values["max_length"] = min(values["max_length"], _full_attention(fields, values["max_length"]))


def _full_attention(fields: Fields, max_length: int) -> int:
    """The longest sequence for which transformers computes full attention."""
    block, num_random = fields.integer("block_size", 64), fields.integer("num_random_blocks", 3)
    kind = fields.one_of("attention_type", ("block_sparse", "original_full"))
    if kind == "original_full":
        return max_length
    # Two blocks at the ends, three around a position, and the random ones twice.
    return (5 + 2 * num_random) * block


def write_attention(config: EncoderConfig) -> dict[str, Any]:
    """A config with full attention at all lengths."""
    return {
        "attention_type": "original_full",
        "rescale_embeddings": config.embedding_scale == math.sqrt(config.d_model),
    }


def fold_positions(values: Mapping[str, Any], stored: StoredWeights) -> StoredWeights:
    """Cut the table of positions after the longest sequence with full attention, and say so."""
    max_positions = values.get("max_position_embeddings", 4096)
    longest = _full_attention(Fields(values, "config.json"), max_positions)
    if longest >= max_positions:
        return stored
    warn_caller(
        LengthWarning(
            f"{stored.source.parent}: attention is block-sparse in sequences of more than "
            f"{longest:,} tokens, which bothways does not support: the model takes at most "
            f"{longest:,} of its {max_positions:,} tokens. With attention_type="
            '"original_full" in config.json, attention is full at all lengths'
        )
    )
    names = {prefix + _POSITIONS for prefix in _PREFIXES}
    return stored.replacing(
        {
            name: array[:longest]
            for name, array in stored.arrays.items()
            if name in names and array.shape[:1] == (max_positions,)
        }
    )


def logits_of_classes(
    config: EncoderConfig, settings: Settings, outputs: int
) -> tuple[HeadLayer, ...]:
    """A dense layer with the encoder's activation, and the output layer."""
    dense = HeadLayer(
        name="heads.classifier.dense", outputs=config.d_model, activation=config.activation
    )
    return dense, HeadLayer(name="heads.classifier.output", outputs=outputs)


_, _OF_POSITIONS = classifier("heads.classifier.dense", "tanh")

BIG_BIRD = Family(
    model_type="big_bird",
    base_class="BigBirdModel",
    is_always_named=True,
    tokenizer=TokenizerClass(
        "BigBirdTokenizer",
        "sentence_piece",
        {
            "unk_token": "<unk>",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "pad_token": "<pad>",
            "sep_token": "[SEP]",
            "cls_token": "[CLS]",
            "mask_token": "[MASK]",
        },
        piece_ids=PieceIds(trailing=("mask_token",), segments=True),
    ),
    rows=dict(bert.FIELDS)
    | {
        "vocab_size": ("vocab_size", 50358),
        "hidden_act": ("activation", "gelu_new"),
        "max_position_embeddings": ("max_length", 4096),
    },
    only=dict(bert.ABSOLUTE_ONLY) | {"use_bias": (True,)},
    dropped=bert.UNUSED,
    read_quirks=read_attention,
    write_quirks=write_attention,
    fold=fold_positions,
    heads=(
        masked_tokens(None, "ForPreTraining"),
        HeadArchitecture(
            classes=("ForSequenceClassification",), outputs="sequence", layers=logits_of_classes
        ),
        _OF_POSITIONS,
        HeadArchitecture(
            classes=("ForQuestionAnswering",),
            outputs="answer",
            layers=answer_spans().layers,
            refused="its head has a feed-forward layer of its own, which bothways does not support",
        ),
    ),
    tables=(
        KeyTable(
            bert.EMBEDDING | bert.BLOCK | {"pooler.{p}": "heads.pooler.{p}"},
            heads={name: ours for name, ours in bert.HEAD_ROWS.items() if name.startswith("cls.")}
            | roberta.CLASSIFIERS,
            prefixes=_PREFIXES,
            aliases=bert.ALIASES,
        ),
    ),
)

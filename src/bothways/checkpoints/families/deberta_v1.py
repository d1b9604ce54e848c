"""DeBERTa (He et al. 2021), the first version: it differs from the second in its attention.

Queries, keys and values are one matrix, whose rows are sorted by head; keys have no bias; distances
have one vector each, and maps of their own.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bothways.checkpoints.families import bert, deberta
from bothways.checkpoints.family import Family
from bothways.checkpoints.json_fields import LARGEST, Fields
from bothways.checkpoints.key_table import KeyTable, Rows
from bothways.checkpoints.tokenizer_class import TokenizerClass
from bothways.checkpoints.weight_files import StoredWeights
from bothways.errors import CheckpointError
from bothways.io.json_files import brief
from bothways.model.config import EncoderConfig

_FUSED = "attention.self.in_proj.weight"


def read_positions(fields: Fields, values: dict[str, Any]) -> None:
    """Read what is added to the embeddings and to the scores."""
    deberta.read_embeddings(fields, values)
    named = fields.raw("pos_att_type")
    terms = deberta.read_terms(fields)
    # Scores are scaled by the number of names, whatever they are.
    count = named.count("|") + 1 if isinstance(named, str) else len(named or ())
    if len(set(terms)) < count:
        raise CheckpointError(
            f"{fields.file}: pos_att_type={brief(named)}: expected each term once, and no other"
        )
    is_relative = fields.flag("relative_attention", False)
    farthest = fields.integer("max_relative_positions", -1, at_least=-LARGEST)
    if is_relative != bool(terms):
        raise CheckpointError(
            f"{fields.file}: pos_att_type={brief(named)}: expected terms with relative_attention, "
            "and none without"
        )
    if is_relative:
        values |= deberta.with_terms(terms)
        values["relative_log_buckets"] = False
        values["relative_buckets"] = 2 * (farthest if farthest > 0 else values["max_length"])


def write_positions(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_positions`."""
    fields = deberta.write_positions(config)
    for name in ("share_att_key", "norm_rel_ebd", "position_buckets"):
        fields.pop(name, None)
    return fields


def fold_fused(values: Mapping[str, Any], stored: StoredWeights) -> StoredWeights:
    """All queries first, then all keys and values, where the file has those of each head."""
    heads = values.get("num_attention_heads", DEBERTA.rows["num_attention_heads"][1])

    def by_kind(array: np.ndarray) -> np.ndarray:
        if array.ndim != 2 or len(array) % (3 * heads):
            raise CheckpointError(
                f"{stored.source}: weight {_FUSED!r} has shape {array.shape}; expected queries, "
                f"keys and values of {heads} heads along its rows"
            )
        by_head = array.reshape(heads, 3, -1, array.shape[1])
        return by_head.swapaxes(0, 1).reshape(array.shape)

    return deberta.rearranged(stored, _FUSED, by_kind)


def unfold_fused(config: EncoderConfig, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inverse of `fold_fused`."""
    return dict(arrays) | {
        key: array.reshape(3, config.num_heads, -1, array.shape[1])
        .swapaxes(0, 1)
        .reshape(array.shape)
        for key, array in arrays.items()
        if key.endswith(_FUSED)
    }


def _encoder(position_table: str | None) -> Rows:
    """The names of the encoder's weights; `position_table`: ours, None where it is not used."""
    layer, ours = "encoder.layer.{i}.attention.self.", "blocks.{i}.attention."
    return (
        bert.EMBEDDING
        | deberta.SUBLAYERS
        | {
            f"{layer}in_proj.weight": (
                f"{ours}query.weight",
                f"{ours}key.weight",
                f"{ours}value.weight",
            ),
            f"{layer}q_bias": f"{ours}query.bias",
            f"{layer}v_bias": f"{ours}value.bias",
            f"{layer}pos_proj.weight": f"{ours}position_key.weight",
            f"{layer}pos_q_proj.{{p}}": f"{ours}position_query.{{p}}",
            "embeddings.position_embeddings.weight": position_table,
            "encoder.rel_embeddings.weight": "relative_embedding.weight",
        }
    )


TOKENIZER = TokenizerClass("DebertaTokenizer", "byte_pair", bert.TOKENIZER.special_tokens)
"""Pairs have one separator, as in the released code and transformers 4; transformers 5 puts two."""

DEBERTA = Family(
    model_type="deberta",
    base_class="DebertaModel",
    tokenizer=TOKENIZER,
    rows=deberta.FIELDS
    | {
        "vocab_size": ("vocab_size", 50265),
        "hidden_size": ("d_model", 768),
        "num_hidden_layers": ("num_layers", 12),
        "num_attention_heads": ("num_heads", 12),
        "intermediate_size": ("d_ff", 3072),
    },
    fixed={"attention_key_bias": False},
    only={"talking_head": (False, None)},
    kept=deberta.KEPT,
    segments_optional=True,
    read_quirks=read_positions,
    write_quirks=write_positions,
    fold=fold_fused,
    unfold=unfold_fused,
    heads=deberta.HEADS,
    # As in version 2, files may have a table of positions that nothing reads.
    tables=tuple(
        KeyTable(
            _encoder(table),
            heads=deberta.HEAD_ROWS,
            prefixes=deberta.PREFIXES,
            aliases=bert.ALIASES,
        )
        for table in ("embedding.position.weight", None)
    ),
)

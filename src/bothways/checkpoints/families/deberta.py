"""DeBERTa v2 and v3 (He et al. 2021; He et al. 2023): BERT with disentangled attention.

`deberta_v1` has the first version, which shares the heads.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from bothways.checkpoints.families import bert
from bothways.checkpoints.family import THEIR_ACTIVATIONS, Family, activation
from bothways.checkpoints.head_architectures import (
    POOLER,
    HeadArchitecture,
    Settings,
    answer_spans,
    masked_tokens,
)
from bothways.checkpoints.json_fields import LARGEST, Fields
from bothways.checkpoints.key_table import KeyTable, Rows
from bothways.checkpoints.tokenizer_class import PieceIds, TokenizerClass
from bothways.checkpoints.weight_files import StoredWeights
from bothways.errors import CheckpointError
from bothways.io.json_files import brief
from bothways.model.config import EncoderConfig
from bothways.model.heads import Head, HeadActivation, HeadLayer

_TERMS = {"c2p": "content_to_position", "p2c": "position_to_content"}


def read_positions(fields: Fields, values: dict[str, Any]) -> None:
    """Read what is added to the embeddings, to the scores and to the first layer."""
    read_embeddings(fields, values)
    head_width = values["d_model"] // max(values["num_heads"], 1)
    fields.only("attention_head_size", head_width, because="it is not hidden_size / heads")
    _read_convolution(fields, values)
    terms = read_terms(fields)
    if not fields.flag("relative_attention", False):
        fields.only("pos_att_type", None, [], "", because="it needs relative_attention")
        fields.drop(("position_buckets", "max_relative_positions", "norm_rel_ebd", "share_att_key"))
        return
    if not terms:
        raise CheckpointError(
            f"{fields.file}: relative_attention needs a pos_att_type of {' or '.join(_TERMS)}"
        )
    values |= with_terms(terms)
    values["shared_position_projections"] = fields.flag("share_att_key", False)
    norm = fields.one_of("norm_rel_ebd", ("none", "layer_norm"))
    values["relative_embedding_norm"] = norm == "layer_norm"
    _read_buckets(fields, values)


def read_embeddings(fields: Fields, values: dict[str, Any]) -> None:
    """Read whether there is a table of positions, and refuse embeddings of another width."""
    width = values["d_model"]
    for name in ("embedding_size", "pooler_hidden_size"):
        fields.only(name, width, None, because=f"it differs from hidden_size={width}")
    has_table = fields.flag("position_biased_input", True)
    values["position_embedding"] = "learned" if has_table else "none"


def with_terms(terms: Collection[str]) -> dict[str, Any]:
    """Our fields of disentangled attention with these terms."""
    return {"attention_positions": "disentangled"} | {
        ours: theirs in terms for theirs, ours in _TERMS.items()
    }


def read_terms(fields: Fields) -> list[str]:
    """The terms that `pos_att_type` names.

    Raises:
        CheckpointError: if it names another.
    """
    named = fields.raw("pos_att_type")
    if isinstance(named, str):
        named = [name.strip() for name in named.lower().split("|") if name.strip()]
    if named is None:
        return []
    if not isinstance(named, list) or any(name not in list(_TERMS) for name in named):
        raise CheckpointError(
            f"{fields.file}: pos_att_type={brief(named)}: expected {' or '.join(_TERMS)}, or both"
        )
    return [str(name) for name in named]


def _read_buckets(fields: Fields, values: dict[str, Any]) -> None:
    buckets = fields.integer("position_buckets", -1, at_least=-LARGEST)
    farthest = fields.integer("max_relative_positions", -1, at_least=-LARGEST)
    if farthest < 1:
        farthest = values["max_length"]
    values["relative_log_buckets"] = buckets > 0
    if buckets > 0:
        values["relative_buckets"] = 2 * buckets
        values["relative_max_distance"] = farthest
    else:
        values["relative_buckets"] = 2 * farthest


def _read_convolution(fields: Fields, values: dict[str, Any]) -> None:
    size = fields.integer("conv_kernel_size", 0, at_least=-LARGEST)
    if size < 1:
        fields.drop(("conv_groups", "conv_act"))
        return
    values["convolution_kernel_size"] = size
    values["convolution_groups"] = fields.integer("conv_groups", 1, at_least=1)
    name = fields.text("conv_act", "tanh")
    values["convolution_activation"] = (
        "tanh" if name == "tanh" else activation(fields, "conv_act", "tanh")
    )


def write_positions(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_positions`."""
    fields: dict[str, Any] = {"position_biased_input": config.position_embedding == "learned"}
    if config.convolution_kernel_size:
        name = config.convolution_activation
        fields["conv_kernel_size"] = config.convolution_kernel_size
        fields["conv_groups"] = config.convolution_groups
        fields["conv_act"] = THEIR_ACTIVATIONS.get(name, name)
    if config.attention_positions != "disentangled":
        return fields | {"relative_attention": False, "pos_att_type": None}
    half = config.relative_buckets // 2
    is_log = config.relative_log_buckets
    return fields | {
        "relative_attention": True,
        "pos_att_type": [theirs for theirs, ours in _TERMS.items() if getattr(config, ours)],
        "share_att_key": config.shared_position_projections,
        "norm_rel_ebd": "layer_norm" if config.relative_embedding_norm else "none",
        "position_buckets": half if is_log else -1,
        "max_relative_positions": config.relative_max_distance if is_log else half,
    }


PREFIXES = ("", "deberta.")
_CONVOLUTION = "encoder.conv.conv.weight"


def fold_convolution(values: Mapping[str, Any], stored: StoredWeights) -> StoredWeights:
    """The convolution (out, in, positions) as a matrix (out, positions * in)."""

    def to_matrix(array: np.ndarray) -> np.ndarray:
        size = values.get("conv_kernel_size", 0)
        if array.ndim != 3 or array.shape[2] != size:
            raise CheckpointError(
                f"{stored.source}: weight {_CONVOLUTION!r} has shape {array.shape}; "
                f"expected kernels of conv_kernel_size={size} positions, (out, in, {size})"
            )
        return array.swapaxes(1, 2).reshape(len(array), -1)

    return rearranged(stored, _CONVOLUTION, to_matrix)


def rearranged(
    stored: StoredWeights, ending: str, rearrange: Callable[[np.ndarray], np.ndarray]
) -> StoredWeights:
    """The weights with those rearranged whose names end so; they are in no file as they are."""
    return stored.replacing(
        {key: rearrange(array) for key, array in stored.arrays.items() if key.endswith(ending)}
    )


def unfold_convolution(
    config: EncoderConfig, arrays: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The inverse of `fold_convolution`."""
    size = config.convolution_kernel_size
    return dict(arrays) | {
        key: array.reshape(len(array), size, -1).swapaxes(1, 2)
        for key, array in arrays.items()
        if key.endswith(_CONVOLUTION)
    }


_NEW_DECODER = "heads.lm_head"
"""The decoder of `legacy=False`, which has names of its own; its matrix is the token embeddings."""


def tokens(config: EncoderConfig, settings: Settings, outputs: int) -> tuple[HeadLayer, ...]:
    """BERT's layers, under the names of the head that `legacy` chooses."""
    layers = masked_tokens().layers(config, settings, outputs)
    if settings.get("legacy") is not False:
        return layers
    dense = HeadLayer(
        name=f"{_NEW_DECODER}.dense",
        outputs=layers[0].outputs,
        activation=layers[0].activation,
        norm=f"{_NEW_DECODER}.norm",
        norm_eps=layers[0].norm_eps,
    )
    return dense, HeadLayer(name=_NEW_DECODER, outputs=outputs, tied=True)


def which_tokens(head: Head) -> dict[str, Any]:
    """The field that chooses the head of masked tokens."""
    return {"legacy": head.layers[-1].name != _NEW_DECODER}


def classes(config: EncoderConfig, settings: Settings, outputs: int) -> tuple[HeadLayer, ...]:
    """The context pooler, a dense layer on the first position, and the output layer."""
    name = settings.get("pooler_hidden_act", "gelu")
    act: HeadActivation = "tanh"
    if name != "tanh":
        act = activation(Fields(settings, "config.json"), "pooler_hidden_act", "gelu")
    dense = HeadLayer(name=POOLER, outputs=config.d_model, activation=act)
    return dense, HeadLayer(name="heads.classifier", outputs=outputs)


def pooler_activation(head: Head) -> dict[str, Any]:
    """The field that names the activation of the context pooler."""
    name = head.layers[0].activation
    return {"pooler_hidden_act": THEIR_ACTIVATIONS.get(name, name)}


def tags(config: EncoderConfig, settings: Settings, outputs: int) -> tuple[HeadLayer, ...]:
    """The output layer."""
    return (HeadLayer(name="heads.classifier", outputs=outputs),)


SUBLAYERS: Rows = {
    theirs: ours for theirs, ours in bert.BLOCK.items() if ".attention.self." not in theirs
}
"""BERT's blocks without the maps of queries, keys and values."""

FIELDS = dict(bert.FIELDS) | {
    "type_vocab_size": ("num_segments", 0),
    "layer_norm_eps": ("norm_eps", 1e-7),
}


def _encoder(position_table: str | None) -> Rows:
    """The names of the encoder's weights; `position_table`: ours, None where it is not used."""
    layer = "encoder.layer.{i}."
    maps = {
        "query_proj": "query",
        "key_proj": "key",
        "value_proj": "value",
        "pos_key_proj": "position_key",
        "pos_query_proj": "position_query",
    }
    rows: Rows = {
        f"{layer}attention.self.{theirs}.{{p}}": f"blocks.{{i}}.attention.{ours}.{{p}}"
        for theirs, ours in maps.items()
    }
    return (
        bert.EMBEDDING
        | rows
        | SUBLAYERS
        | {
            "embeddings.position_embeddings.weight": position_table,
            "encoder.rel_embeddings.weight": "relative_embedding.weight",
            "encoder.LayerNorm.{p}": "relative_norm.{p}",
            "encoder.conv.conv.{p}": "convolution.{p}",
            "encoder.conv.LayerNorm.{p}": "convolution_norm.{p}",
        }
    )


HEAD_ROWS: Rows = {
    **{theirs: ours for theirs, ours in bert.HEAD_ROWS.items() if "seq_relationship" not in theirs},
    **bert.POOLER,
    "lm_predictions.lm_head.dense.{p}": f"{_NEW_DECODER}.dense.{{p}}",
    "lm_predictions.lm_head.LayerNorm.{p}": f"{_NEW_DECODER}.norm.{{p}}",
    "lm_predictions.lm_head.bias": f"{_NEW_DECODER}.bias",
}

HEADS = (
    HeadArchitecture(
        classes=("ForMaskedLM",), outputs="vocabulary", layers=tokens, settings=which_tokens
    ),
    HeadArchitecture(
        classes=("ForSequenceClassification",),
        outputs="sequence",
        layers=classes,
        settings=pooler_activation,
    ),
    HeadArchitecture(classes=("ForTokenClassification",), outputs="positions", layers=tags),
    answer_spans(),
)

KEPT = ("legacy", "pooler_dropout", "pooler_hidden_act", "cls_dropout")

DEBERTA_V2 = Family(
    model_type="deberta-v2",
    base_class="DebertaV2Model",
    tokenizer=TokenizerClass(
        "DebertaV2Tokenizer",
        "sentence_piece",
        bert.TOKENIZER.special_tokens,
        piece_ids=PieceIds(trailing=("mask_token",), lowercases=False, segments=True),
    ),
    rows=FIELDS
    | {
        "vocab_size": ("vocab_size", 128100),
        "hidden_size": ("d_model", 1536),
        "num_hidden_layers": ("num_layers", 24),
        "num_attention_heads": ("num_heads", 24),
        "intermediate_size": ("d_ff", 6144),
    },
    kept=KEPT,
    segments_optional=True,
    read_quirks=read_positions,
    write_quirks=write_positions,
    fold=fold_convolution,
    unfold=unfold_convolution,
    heads=HEADS,
    # Files of models without a position table may have one, which pretraining added at its end.
    tables=tuple(
        KeyTable(_encoder(table), heads=HEAD_ROWS, prefixes=PREFIXES, aliases=bert.ALIASES)
        for table in ("embedding.position.weight", None)
    ),
)

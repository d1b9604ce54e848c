"""DeBERTa v2 and v3 (He et al. 2021; He et al. 2023): BERT with disentangled attention."""

from typing import Any

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
from bothways.errors import CheckpointError
from bothways.io.json_files import brief
from bothways.model.config import EncoderConfig
from bothways.model.heads import Head, HeadActivation, HeadLayer

_TERMS = {"c2p": "content_to_position", "p2c": "position_to_content"}


def read_positions(fields: Fields, values: dict[str, Any]) -> None:
    """Read what is added to the embeddings and to the scores, and refuse other layers."""
    width = values["d_model"]
    for name in ("embedding_size", "pooler_hidden_size"):
        fields.only(name, width, None, because=f"it differs from hidden_size={width}")
    head_width = width // max(values["num_heads"], 1)
    fields.only("attention_head_size", head_width, because="it is not hidden_size / heads")
    fields.only("conv_kernel_size", 0, because="a convolution beside the first layer")
    has_table = fields.flag("position_biased_input", True)
    values["position_embedding"] = "learned" if has_table else "none"
    terms = _terms(fields)
    if not fields.flag("relative_attention", False):
        fields.only("pos_att_type", None, [], "", because="it needs relative_attention")
        fields.drop(("position_buckets", "max_relative_positions", "norm_rel_ebd", "share_att_key"))
        return
    if not terms:
        raise CheckpointError(
            f"{fields.file}: relative_attention needs a pos_att_type of {' or '.join(_TERMS)}"
        )
    values["attention_positions"] = "disentangled"
    values |= {ours: theirs in terms for theirs, ours in _TERMS.items()}
    values["shared_position_projections"] = fields.flag("share_att_key", False)
    norm = fields.one_of("norm_rel_ebd", ("none", "layer_norm"))
    values["relative_embedding_norm"] = norm == "layer_norm"
    _read_buckets(fields, values)


def _terms(fields: Fields) -> list[str]:
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


def write_positions(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_positions`."""
    fields: dict[str, Any] = {"position_biased_input": config.position_embedding == "learned"}
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
    others = {
        theirs: ours for theirs, ours in bert.BLOCK.items() if ".attention.self." not in theirs
    }
    return (
        bert.EMBEDDING
        | rows
        | others
        | {
            "embeddings.position_embeddings.weight": position_table,
            "encoder.rel_embeddings.weight": "relative_embedding.weight",
            "encoder.LayerNorm.{p}": "relative_norm.{p}",
        }
    )


_HEAD_ROWS: Rows = {
    **{theirs: ours for theirs, ours in bert.HEAD_ROWS.items() if "seq_relationship" not in theirs},
    **bert.POOLER,
    "lm_predictions.lm_head.dense.{p}": f"{_NEW_DECODER}.dense.{{p}}",
    "lm_predictions.lm_head.LayerNorm.{p}": f"{_NEW_DECODER}.norm.{{p}}",
    "lm_predictions.lm_head.bias": f"{_NEW_DECODER}.bias",
}

DEBERTA_V2 = Family(
    model_type="deberta-v2",
    base_class="DebertaV2Model",
    tokenizer=TokenizerClass(
        "DebertaV2Tokenizer",
        "sentence_piece",
        bert.TOKENIZER.special_tokens,
        piece_ids=PieceIds(trailing=("mask_token",), lowercases=False, segments=True),
    ),
    rows=dict(bert.FIELDS)
    | {
        "vocab_size": ("vocab_size", 128100),
        "hidden_size": ("d_model", 1536),
        "num_hidden_layers": ("num_layers", 24),
        "num_attention_heads": ("num_heads", 24),
        "intermediate_size": ("d_ff", 6144),
        "type_vocab_size": ("num_segments", 0),
        "layer_norm_eps": ("norm_eps", 1e-7),
    },
    kept=("legacy", "pooler_dropout", "pooler_hidden_act", "cls_dropout"),
    dropped=("conv_groups", "conv_act"),
    segments_optional=True,
    read_quirks=read_positions,
    write_quirks=write_positions,
    heads=(
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
    ),
    # Files of models without a position table may have one, which pretraining added at its end.
    tables=tuple(
        KeyTable(_encoder(table), heads=_HEAD_ROWS, prefixes=("", "deberta."), aliases=bert.ALIASES)
        for table in ("embedding.position.weight", None)
    ),
)

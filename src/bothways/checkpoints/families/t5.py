"""The encoder of T5 (Raffel et al. 2020): gtr, sentence-t5, ProtT5 and their like.

RMS norm before each sublayer, unscaled attention, heads whose width is a field, and a bias by
distance that all layers share. A decoder in the same file is left out, as in `T5EncoderModel`.
codet5p-110m-embedding (Wang et al. 2023) is one with a linear layer on its first position.
"""

from collections.abc import Mapping
from typing import Any

from bothways.checkpoints.family import Family, Projection, activation
from bothways.checkpoints.head_architectures import HeadArchitecture, Settings
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable, Rows
from bothways.checkpoints.tokenizer_class import PieceIds, TokenizerClass
from bothways.model.config import EncoderConfig
from bothways.model.heads import HeadLayer
from bothways.model.pooling import Pooling

_MAX_LENGTH = 32_768
"""T5 has no maximum: positions farther apart than a config says share a bucket. Tables of biases
need one, and tokenizers have their own."""

_OTHER_NAMES = {
    "hidden_size": "d_model",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
}
"""Names that transformers takes for those fields."""

_GATED = "gated-"


def read_heads_and_activation(fields: Fields, values: dict[str, Any]) -> None:
    """Read the width of a head, and the kind of feed-forward."""
    width = fields.integer("d_kv", 64, at_least=1)
    fields.only("head_dim", width, because="it differs from d_kv")
    if width * values["num_heads"] != values["d_model"]:
        values["head_size"] = width
    name = fields.text("feed_forward_proj", "relu")
    values["gated"] = name.startswith(_GATED)
    # The gated form means the approximation where it says gelu.
    if name == "gated-gelu":
        values["activation"] = "gelu_tanh"
    else:
        kind = Fields({"feed_forward_proj": name.removeprefix(_GATED)}, fields.file)
        values["activation"] = activation(kind, "feed_forward_proj", "relu")


def write_heads_and_activation(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_heads_and_activation`."""
    names = {"relu": "relu", "silu": "silu", "gelu": "gelu", "gelu_tanh": "gelu_new"}
    name = names[config.activation]
    if config.gated:
        name = {"gelu_new": "gated-gelu", "gelu": "gated-gelu_python"}.get(name, _GATED + name)
    return {
        "d_kv": config.head_width,
        "feed_forward_proj": name,
        "dropout_rate": config.dropout,
        "is_encoder_decoder": False,
    }


def read_t5(fields: Fields, values: dict[str, Any]) -> None:
    """Read all that no row expresses."""
    read_heads_and_activation(fields, values)
    for other, ours in _OTHER_NAMES.items():
        fields.only(other, values[ours], because=f"it differs from {ours}")
    values["dropout"] = values["attention_dropout"] = fields.number("dropout_rate", 0.1)


def is_published_as(values: Mapping[str, Any]) -> bool:
    """Whether a config.json is of codet5p-110m-embedding, which has code of its own."""
    return values.get("model_type") == "codet5p_embedding"


def projection(values: Mapping[str, Any]) -> Projection | None:
    """The layer at the end of codet5p-110m-embedding."""
    if not is_published_as(values):
        return None
    return Projection("proj", bias=True, pooling=Pooling(("cls",)), normalizes=True)


def _encoder(gated: bool, embedding: str) -> Rows:
    """The names of the encoder's weights; `embedding`: which of the equal tables is read."""
    other = {"shared.weight", "encoder.embed_tokens.weight"} - {embedding}
    block = "encoder.block.{i}.layer"
    rows: Rows = {
        embedding: "embedding.token.weight",
        **dict.fromkeys(other),
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (
            "relative_bias.weight"
        ),
        f"{block}.0.SelfAttention.q.weight": "blocks.{i}.attention.query.weight",
        f"{block}.0.SelfAttention.k.weight": "blocks.{i}.attention.key.weight",
        f"{block}.0.SelfAttention.v.weight": "blocks.{i}.attention.value.weight",
        f"{block}.0.SelfAttention.o.weight": "blocks.{i}.attention.output.weight",
        f"{block}.0.layer_norm.weight": "blocks.{i}.attention_norm.weight",
        f"{block}.1.DenseReluDense.wo.weight": "blocks.{i}.feed_forward.down.weight",
        f"{block}.1.layer_norm.weight": "blocks.{i}.feed_forward_norm.weight",
        "encoder.final_layer_norm.weight": "final_norm.weight",
    }
    first = f"{block}.1.DenseReluDense"
    if not gated:
        return rows | {f"{first}.wi.weight": "blocks.{i}.feed_forward.up.weight"}
    return rows | {
        f"{first}.wi_0.weight": "blocks.{i}.feed_forward.gate.weight",
        f"{first}.wi_1.weight": "blocks.{i}.feed_forward.up.weight",
    }


def _decoder() -> Rows:
    """The names of a decoder's weights, which are left out."""
    block = "decoder.block.{i}.layer"
    attention = [
        f"{number}.{kind}.{part}"
        for number, kind in ((0, "SelfAttention"), (1, "EncDecAttention"))
        for part in ("q", "k", "v", "o", "relative_attention_bias")
    ]
    others = ["0.layer_norm", "1.layer_norm", "2.layer_norm"]
    feed_forward = [f"2.DenseReluDense.{part}" for part in ("wi", "wi_0", "wi_1", "wo")]
    names = [f"{block}.{name}" for name in (*attention, *others, *feed_forward)]
    names += ["decoder.embed_tokens", "decoder.final_layer_norm", "lm_head"]
    return dict.fromkeys(f"{name}.weight" for name in names)


def _tags(config: EncoderConfig, settings: Settings, outputs: int) -> tuple[HeadLayer, ...]:
    return (HeadLayer(name="heads.classifier", outputs=outputs),)


T5 = Family(
    model_type="t5",
    base_class="T5EncoderModel",
    is_published_as=is_published_as,
    projection=projection,
    published_code=frozenset(
        prefix + name
        for prefix in ("", "Salesforce/codet5p-110m-embedding--")
        for name in (
            "configuration_codet5p_embedding.CodeT5pEmbeddingConfig",
            "modeling_codet5p_embedding.CodeT5pEmbeddingModel",
        )
    ),
    rows={
        "vocab_size": ("vocab_size", 32128),
        "d_model": ("d_model", 512),
        "num_layers": ("num_layers", 6),
        "num_heads": ("num_heads", 8),
        "d_ff": ("d_ff", 2048),
        "relative_attention_num_buckets": ("relative_buckets", 32),
        "relative_attention_max_distance": ("relative_max_distance", 128),
        "layer_norm_epsilon": ("norm_eps", 1e-6),
    },
    fixed={
        "max_length": _MAX_LENGTH,
        "position_embedding": "none",
        "attention_positions": "relative",
        "embedding_norm": False,
        "norm": "rms",
        "norm_placement": "pre",
        "final_norm": True,
        "attention_scale": 1.0,
        "attention_bias": False,
        "feed_forward_bias": False,
    },
    only={"is_encoder_decoder": (True, False, None)},
    dropped=(
        # Of the decoder.
        "num_decoder_layers",
        "scale_decoder_outputs",
        # Of training, and other names of fields.
        "initializer_factor",
        "n_positions",
        "output_past",
        "dense_act_fn",
        "is_gated_act",
        # Outputs of the projection, whose weights say it.
        "embed_dim",
    ),
    read_quirks=read_t5,
    write_quirks=write_heads_and_activation,
    needed={"pad_token_id": 0},
    tokenizer=TokenizerClass(
        "T5Tokenizer",
        "sentence_piece",
        {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
        piece_ids=PieceIds(num_sentinels=100),
    ),
    heads=(
        HeadArchitecture(classes=("ForTokenClassification",), outputs="positions", layers=_tags),
    ),
    tables=tuple(
        KeyTable(
            _encoder(gated, embedding) | _decoder(),
            heads={"classifier.{p}": "heads.classifier.{p}"},
            prefixes=("", "transformer."),
        )
        for embedding in ("shared.weight", "encoder.embed_tokens.weight")
        for gated in (False, True)
    ),
)

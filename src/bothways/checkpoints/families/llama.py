"""What the families share whose layers are those of Llama (Touvron et al. 2023).

RMS norm before each sublayer and at the end, rotary positions, a gated feed-forward, and heads of
queries that share keys and values.
"""

from typing import Any

from bothways.checkpoints.head_architectures import HeadArchitecture, Settings, answer_spans
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable, Rows
from bothways.checkpoints.rotary_fields import FULL, SLIDING
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import brief
from bothways.model.config import EncoderConfig, HeadPooling
from bothways.model.heads import Head, HeadLayer

__all__ = [
    "FIXED",
    "HEADS",
    "KEPT",
    "ONLY",
    "ROWS",
    "SCORE",
    "SEQUENCE",
    "layer_types",
    "read_direction",
    "read_grouped_heads",
    "read_windows",
    "tables",
    "tags",
    "write_direction",
    "write_grouped_heads",
    "write_windows",
]

FIXED: dict[str, Any] = {
    "position_embedding": "none",
    "attention_positions": "rotary",
    "embedding_norm": False,
    "norm": "rms",
    "norm_placement": "pre",
    "final_norm": True,
    "gated": True,
    "dropout": 0.0,
}

ONLY = {"partial_rotary_factor": (1.0, 1, None)}
"""Fields of rotary positions that may stand outside of `rope_parameters`."""

KEPT = ("token_classification_bias",)

ROWS: Rows = {
    "embed_tokens.weight": "embedding.token.weight",
    "rotary_emb.inv_freq": None,  # a buffer, computed from the config
    "layers.{i}.self_attn.rotary_emb.inv_freq": None,
    "layers.{i}.self_attn.q_proj.{p}": "blocks.{i}.attention.query.{p}",
    "layers.{i}.self_attn.k_proj.{p}": "blocks.{i}.attention.key.{p}",
    "layers.{i}.self_attn.v_proj.{p}": "blocks.{i}.attention.value.{p}",
    "layers.{i}.self_attn.o_proj.{p}": "blocks.{i}.attention.output.{p}",
    "layers.{i}.input_layernorm.{p}": "blocks.{i}.attention_norm.{p}",
    "layers.{i}.mlp.gate_proj.{p}": "blocks.{i}.feed_forward.gate.{p}",
    "layers.{i}.mlp.up_proj.{p}": "blocks.{i}.feed_forward.up.{p}",
    "layers.{i}.mlp.down_proj.{p}": "blocks.{i}.feed_forward.down.{p}",
    "layers.{i}.post_attention_layernorm.{p}": "blocks.{i}.feed_forward_norm.{p}",
    "norm.{p}": "final_norm.{p}",
}

SCORE: Rows = {"score.{p}": "heads.classifier.{p}"}


def read_grouped_heads(
    fields: Fields, values: dict[str, Any], *, heads: int | None, width: int | None
) -> None:
    """Read `num_key_value_heads` and `head_dim`.

    heads, width: the defaults of both; None for those of plain attention.
    """
    groups = fields.optional_integer("num_key_value_heads", at_least=1)
    if "num_key_value_heads" not in fields:
        groups = heads
    if groups != values["num_heads"]:
        values["num_key_value_heads"] = groups
    width = fields.optional_integer("head_dim", width, at_least=1)
    if width is not None and width * values["num_heads"] != values["d_model"]:
        values["head_size"] = width


def write_grouped_heads(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_grouped_heads`."""
    return {"num_key_value_heads": config.key_value_heads, "head_dim": config.head_width}


def tables(rows: Rows, *, prefix_of_answers: str) -> tuple[KeyTable, ...]:
    """The names of an encoder's weights and of its heads.

    prefix_of_answers: of the encoder in files with the head for answers, which differs in some.
    """
    answers: Rows = {"qa_outputs.{p}": "heads.answer_span.{p}"}
    if prefix_of_answers == "model.":
        return (KeyTable(rows, heads=SCORE | answers, prefixes=("", "model.")),)
    return (
        KeyTable(rows, heads=SCORE, prefixes=("", "model.")),
        KeyTable(rows, heads=answers, prefixes=("", prefix_of_answers)),
    )


def read_direction(fields: Fields, values: dict[str, Any]) -> None:
    """Read the direction of attention: transformers masks causally unless `is_causal` is false."""
    is_causal = fields.flag("is_causal", True)
    values["attention_direction"] = "causal" if is_causal else "both"


def write_direction(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_direction`."""
    match config.attention_direction:
        case "causal":
            return {}
        case "both":
            return {"is_causal": False}


def read_windows(fields: Fields, values: dict[str, Any]) -> None:
    """Read the layers with a window, and its width, after `read_direction`.

    A causal window counts the position itself, and one in both directions does not.
    """
    window = fields.optional_integer("sliding_window", 4096, at_least=1)
    first = fields.integer("max_window_layers", 28)
    if not fields.flag("use_sliding_window", False):
        window = None
    kinds = layer_types(fields, values["num_layers"])
    if kinds is None:
        has_window = [window is not None and i >= first for i in range(values["num_layers"])]
    else:
        has_window = [kind == SLIDING for kind in kinds]
    if not any(has_window):
        return
    if window is None:
        raise CheckpointError(f"{fields.file}: layer_types has {SLIDING!r}, and there is no window")
    reach = window - 1 if values["attention_direction"] == "causal" else window
    values["windows"] = tuple(reach if has else None for has in has_window)


def write_windows(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_windows`, for encoders whose windows are equally wide."""
    windows = config.windows or (None,) * config.num_layers
    kinds = [FULL if window is None else SLIDING for window in windows]
    sizes = {window for window in windows if window is not None}
    if not sizes:
        return {"layer_types": kinds, "use_sliding_window": False, "sliding_window": None}
    reach = max(sizes) + (1 if config.attention_direction == "causal" else 0)
    return {"layer_types": kinds, "use_sliding_window": True, "sliding_window": max(reach, 1)}


def layer_types(fields: Fields, num_layers: int) -> list[str] | None:
    """The kind of attention of each layer; None if the file does not list them.

    Raises:
        CheckpointError: if the list is not as long as the layers.
        UnsupportedModel: for a kind that bothways does not have.
    """
    if fields.raw("layer_types") is None:
        return None
    kinds = fields.list("layer_types")
    if len(kinds) != num_layers:
        raise CheckpointError(
            f"{fields.file}: layer_types has {len(kinds)} entries; "
            f"expected one for each of num_hidden_layers={num_layers}"
        )
    for kind in kinds:
        if kind not in (FULL, SLIDING):
            raise UnsupportedModel(
                f"{fields.file}: layer_types has {brief(kind)}; bothways supports {FULL}, {SLIDING}"
            )
    return kinds


def _last_position(settings: Settings) -> HeadPooling:
    return "last"


def _score(config: EncoderConfig, settings: Settings, outputs: int) -> tuple[HeadLayer, ...]:
    return (HeadLayer(name="heads.classifier", outputs=outputs, bias=False),)


def tags(name: str = "heads.classifier") -> HeadArchitecture:
    """The head for labels of positions, a linear layer called `name`."""

    def layers(config: EncoderConfig, settings: Settings, outputs: int) -> tuple[HeadLayer, ...]:
        bias = Fields(settings, "config.json").flag("token_classification_bias", True)
        return (HeadLayer(name=name, outputs=outputs, bias=bias),)

    def write(head: Head) -> dict[str, Any]:
        return {} if head.layers[-1].bias else {"token_classification_bias": False}

    return HeadArchitecture(
        classes=("ForTokenClassification",), outputs="positions", layers=layers, settings=write
    )


SEQUENCE = HeadArchitecture(
    classes=("ForSequenceClassification",),
    outputs="sequence",
    layers=_score,
    pooling=_last_position,
)
HEADS = (SEQUENCE, tags(), answer_spans())
"""The heads that transformers gives to most decoders."""

"""Gemma 3 for text (Gemma Team 2025) as an encoder: EmbeddingGemma (Vera et al. 2025).

Norms before and after each sublayer and of queries and keys, with gains less 1; embeddings scaled
by the square root of their width; local windows in most layers, with another rotary base.
EmbeddingGemma attends in both directions.
"""

import math
from typing import Any

from bothways.checkpoints.families import llama
from bothways.checkpoints.family import Family
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable
from bothways.checkpoints.rotary_fields import (
    FULL,
    SLIDING,
    read_rotary_by_layer,
    write_rotary_by_layer,
)
from bothways.errors import CheckpointError
from bothways.model.config import EncoderConfig

_THETA = {FULL: 1_000_000.0, SLIDING: 10_000.0}
_OLD_THETA = {FULL: "rope_theta", SLIDING: "rope_local_base_freq"}


def read_attention(fields: Fields, values: dict[str, Any]) -> None:
    """Read heads, scales, direction, windows and rotary bases."""
    if not values["d_model"]:
        raise CheckpointError(f"{fields.file}: hidden_size=0: expected at least 1")
    values["embedding_scale"] = math.sqrt(values["d_model"])
    llama.read_grouped_heads(fields, values, heads=4, width=256)
    scalar = fields.integer("query_pre_attn_scalar", 256, at_least=1)
    if scalar != values.get("head_size", values["d_model"] // max(values["num_heads"], 1)):
        values["attention_scale"] = 1 / math.sqrt(scalar)
    is_both = fields.raw("use_bidirectional_attention") is not None and fields.flag(
        "use_bidirectional_attention"
    )
    values["attention_direction"] = "both" if is_both else "causal"
    _read_windows(fields, values)


def write_attention(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_attention`."""
    windows = config.windows or (None,) * config.num_layers
    sizes = {window for window in windows if window is not None}
    is_both = config.attention_direction != "causal"
    # In both directions the field is the width of the whole window, less the position itself.
    width = max(sizes, default=2048)
    return (
        write_rotary_by_layer(config)
        | llama.write_grouped_heads(config)
        | {
            "query_pre_attn_scalar": round(config.score_scale**-2),
            "use_bidirectional_attention": is_both,
            "sliding_window": max(2 * width, 1) if is_both else width + 1,
            "layer_types": [FULL if window is None else SLIDING for window in windows],
            "rope_theta": config.rotary_base,
            "rope_local_base_freq": config.rotary_base_local or config.rotary_base,
        }
    )


def _read_windows(fields: Fields, values: dict[str, Any]) -> None:
    every = fields.integer("sliding_window_pattern", 6, at_least=1)
    kinds = llama.layer_types(fields, values["num_layers"])
    if kinds is None:
        kinds = [SLIDING if (layer + 1) % every else FULL for layer in range(values["num_layers"])]
    width = fields.integer("sliding_window", 4096, at_least=1)
    reach = width // 2 if values["attention_direction"] == "both" else width - 1
    if SLIDING in kinds:
        values["windows"] = tuple(reach if kind == SLIDING else None for kind in kinds)
    bases = {kind: fields.number(_OLD_THETA[kind], theta) for kind, theta in _THETA.items()}
    read_rotary_by_layer(fields, values, bases, scaled=(FULL,))


_ROWS = {
    name: ours for name, ours in llama.ROWS.items() if "post_attention_layernorm" not in name
} | {
    "layers.{i}.self_attn.q_norm.weight": "blocks.{i}.attention.query_norm.weight",
    "layers.{i}.self_attn.k_norm.weight": "blocks.{i}.attention.key_norm.weight",
    "layers.{i}.post_attention_layernorm.weight": "blocks.{i}.attention_output_norm.weight",
    "layers.{i}.pre_feedforward_layernorm.weight": "blocks.{i}.feed_forward_norm.weight",
    "layers.{i}.post_feedforward_layernorm.weight": "blocks.{i}.feed_forward_output_norm.weight",
}

GEMMA3_TEXT = Family(
    model_type="gemma3_text",
    base_class="Gemma3TextModel",
    rows={
        "vocab_size": ("vocab_size", 262208),
        "hidden_size": ("d_model", 2304),
        "num_hidden_layers": ("num_layers", 26),
        "num_attention_heads": ("num_heads", 8),
        "intermediate_size": ("d_ff", 9216),
        "hidden_activation": ("activation", "gelu_pytorch_tanh"),
        "max_position_embeddings": ("max_length", 131072),
        "rms_norm_eps": ("norm_eps", 1e-6),
        "attention_bias": ("attention_bias", False),
        "attention_dropout": ("attention_dropout", 0.0),
    },
    fixed=llama.FIXED
    | {
        "norm_placement": "sandwich",
        "norm_zero_centered": True,
        "query_key_norm": "head",
        "feed_forward_bias": False,
    },
    only=llama.ONLY
    | {
        "is_causal": (True, None),  # use_bidirectional_attention says it
        "attn_logit_softcapping": (None,),
        "final_logit_softcapping": (None,),
    },
    dropped=(
        "_sliding_window_pattern",  # layer_types, which is beside it, says it
        # Of images, which the encoder of text does not have.
        "image_size",
        "image_token_id",
        "layer_norm_eps",
        "mm_tokens_per_image",
        "patch_size",
        "text_config",
        "vision_config",
    ),
    reads_scaling=True,
    read_quirks=read_attention,
    write_quirks=write_attention,
    needed={"pad_token_id": 0, "bos_token_id": None, "eos_token_id": None},
    heads=(llama.SEQUENCE,),
    tables=(KeyTable(_ROWS, heads=llama.SCORE, prefixes=("", "model.")),),
)

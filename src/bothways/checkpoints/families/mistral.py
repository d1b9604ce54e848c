"""Mistral (Jiang et al. 2023) as an encoder: E5-Mistral and its like."""

import dataclasses
from typing import Any

from bothways.checkpoints.families import llama
from bothways.checkpoints.families.qwen3 import PLAIN
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.rotary_fields import read_rotary, write_rotary
from bothways.model.config import EncoderConfig


def read_attention(fields: Fields, values: dict[str, Any]) -> None:
    """Read direction, heads, rotary positions, and the window of all layers."""
    llama.read_grouped_heads(fields, values, heads=8, width=None)
    read_rotary(fields, values, 10_000.0)
    llama.read_direction(fields, values)
    window = fields.optional_integer("sliding_window", at_least=1)
    if "sliding_window" not in fields:
        window = 4096
    if window is not None:
        reach = window - 1 if values["attention_direction"] == "causal" else window
        values["windows"] = (reach,) * values["num_layers"]


def write_attention(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_attention`."""
    windows = llama.write_windows(config)
    return (
        llama.write_grouped_heads(config)
        | write_rotary(config)
        | llama.write_direction(config)
        | {"sliding_window": windows["sliding_window"]}
    )


MISTRAL = dataclasses.replace(
    PLAIN,
    model_type="mistral",
    base_class="MistralModel",
    rows={theirs: ours for theirs, ours in PLAIN.rows.items() if theirs != "attention_bias"}
    | {
        "vocab_size": ("vocab_size", 32000),
        "intermediate_size": ("d_ff", 14336),
        "max_position_embeddings": ("max_length", 131072),
    },
    fixed=llama.FIXED | {"attention_bias": False, "feed_forward_bias": False},
    dropped=("layer_types",),  # which this class does not use
    reads_scaling=True,
    read_quirks=read_attention,
    write_quirks=write_attention,
    tables=llama.tables(llama.ROWS, prefix_of_answers="model."),
)

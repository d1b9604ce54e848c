"""Qwen2 (Yang et al. 2024) as an encoder: Qwen3 with biases and no norms of queries and keys."""

import dataclasses
from typing import Any

from bothways.checkpoints.families import llama
from bothways.checkpoints.families.qwen3 import PLAIN, write_attention
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.rotary_fields import read_rotary


def read_attention(fields: Fields, values: dict[str, Any]) -> None:
    """Read direction, windows, heads and rotary positions."""
    llama.read_grouped_heads(fields, values, heads=32, width=None)
    read_rotary(fields, values, 10_000.0)
    llama.read_direction(fields, values)
    llama.read_windows(fields, values)


QWEN2 = dataclasses.replace(
    PLAIN,
    model_type="qwen2",
    base_class="Qwen2Model",
    rows={theirs: ours for theirs, ours in PLAIN.rows.items() if theirs != "attention_bias"},
    fixed=llama.FIXED | {"attention_output_bias": False, "feed_forward_bias": False},
    reads_scaling=True,
    read_quirks=read_attention,
    write_quirks=write_attention,
    tables=llama.tables(llama.ROWS, prefix_of_answers="transformer."),
)

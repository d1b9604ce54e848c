"""Qwen3 (Yang et al. 2025) as an encoder: causal attention with a norm of queries and keys.

Qwen3-Embedding (Zhang et al. 2025) pools the last position. Models whose config.json has
`is_causal: false` attend in both directions.
"""

import dataclasses
from typing import Any

from bothways.checkpoints.families import jina_v5, llama
from bothways.checkpoints.family import Family
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.rotary_fields import read_rotary, write_rotary
from bothways.model.config import EncoderConfig


def read_attention(fields: Fields, values: dict[str, Any]) -> None:
    """Read direction, windows, heads and rotary positions."""
    llama.read_grouped_heads(fields, values, heads=32, width=128)
    read_rotary(fields, values, 10_000.0)
    llama.read_direction(fields, values)
    llama.read_windows(fields, values)


def write_attention(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_attention`."""
    return (
        llama.write_grouped_heads(config)
        | write_rotary(config)
        | llama.write_direction(config)
        | llama.write_windows(config)
    )


_ROWS = llama.ROWS | {
    "layers.{i}.self_attn.q_norm.weight": "blocks.{i}.attention.query_norm.weight",
    "layers.{i}.self_attn.k_norm.weight": "blocks.{i}.attention.key_norm.weight",
}

PLAIN = Family(
    model_type="qwen3",
    base_class="Qwen3Model",
    rows={
        "vocab_size": ("vocab_size", 151936),
        "hidden_size": ("d_model", 4096),
        "num_hidden_layers": ("num_layers", 32),
        "num_attention_heads": ("num_heads", 32),
        "intermediate_size": ("d_ff", 22016),
        "hidden_act": ("activation", "silu"),
        "max_position_embeddings": ("max_length", 32768),
        "rms_norm_eps": ("norm_eps", 1e-6),
        "attention_bias": ("attention_bias", False),
        "attention_dropout": ("attention_dropout", 0.0),
    },
    fixed=llama.FIXED | {"query_key_norm": "head", "feed_forward_bias": False},
    only=llama.ONLY,
    kept=llama.KEPT,
    kept_defaults={"tie_word_embeddings": False},
    reads_scaling=True,
    read_quirks=read_attention,
    write_quirks=write_attention,
    heads=llama.HEADS,
    tables=llama.tables(_ROWS, prefix_of_answers="transformer."),
)
"""Without the models that others published with code of their own."""

QWEN3 = dataclasses.replace(
    PLAIN,
    is_published_as=jina_v5.is_on_qwen3,
    published_code=jina_v5.CODE,
    published_modules=jina_v5.MODULES,
    task_folders=jina_v5.TASK_FOLDERS,
)

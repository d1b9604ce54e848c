"""Qwen3 (Yang et al. 2025) as an encoder: causal attention with a norm of queries and keys.

Qwen3-Embedding (Zhang et al. 2025) pools the last position. Models whose config.json has
`is_causal: false` attend in both directions, and so does voyage-4-nano, whose published code says
so and ends with a linear layer.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bothways.checkpoints.families import jina_v5, llama
from bothways.checkpoints.family import Family, Projection
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.rotary_fields import SLIDING, read_rotary, write_rotary
from bothways.errors import UnsupportedModel
from bothways.model.config import EncoderConfig
from bothways.model.pooling import MEAN


def read_attention(fields: Fields, values: dict[str, Any]) -> None:
    """Read direction, windows, heads and rotary positions."""
    llama.read_grouped_heads(fields, values, heads=32, width=128)
    read_rotary(fields, values, 10_000.0)
    llama.read_direction(fields, values)
    if _names_voyage(fields.raw("auto_map")):
        values["attention_direction"] = "both"
        fields.drop(("use_bidirectional_attention",))
        fields.only("use_sliding_window", False)
        if SLIDING in (llama.layer_types(fields, values["num_layers"]) or ()):
            raise UnsupportedModel(f"{fields.file}: layer_types: voyage-4-nano has no windows")
    llama.read_windows(fields, values)


def _names_voyage(auto_map: object) -> bool:
    """Whether an `auto_map` names the code of voyage-4-nano, which attends in both directions."""
    named = auto_map.values() if isinstance(auto_map, Mapping) else ()
    return any(isinstance(name, str) and name in _VOYAGE_CODE for name in named)


def projection(values: Mapping[str, Any]) -> Projection | None:
    """The layer at the end of voyage-4-nano."""
    if not _names_voyage(values.get("auto_map")):
        return None
    return Projection("linear", bias=False, pooling=MEAN)


def write_attention(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_attention`."""
    return (
        llama.write_grouped_heads(config)
        | write_rotary(config)
        | llama.write_direction(config)
        | llama.write_windows(config)
    )


_VOYAGE_CODE = frozenset(
    prefix + "modeling_qwen3_bidirectional.Qwen3BidirectionalModel"
    for prefix in ("", "voyageai/voyage-4-nano--")
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
    published_code=jina_v5.CODE | _VOYAGE_CODE,
    projection=projection,
    published_modules=jina_v5.MODULES,
    task_folders=jina_v5.TASK_FOLDERS,
)

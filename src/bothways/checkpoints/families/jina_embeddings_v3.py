"""Jina Embeddings v3 (Sturua et al. 2024) and jina-colbert-v2: XLM-RoBERTa with rotary positions.

They were published as `xlm-roberta`, with code of their own that bothways never runs; transformers
uses another model_type and other names. bothways reads both, and writes those of transformers.
"""

from collections.abc import Mapping
from typing import Any

from bothways.checkpoints.families import bert, roberta
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import answer_spans
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable, Rows
from bothways.checkpoints.rotary_fields import read_rotary, write_rope_parameters
from bothways.model.config import EncoderConfig

_BASE = 20_000.0
"""Base of the rotary wavelengths where a config of transformers gives none."""
_PUBLISHED_BASE = 10_000.0


def is_published_as(values: Mapping[str, Any]) -> bool:
    """Whether a config.json of `xlm-roberta` has rotary positions."""
    return (
        values.get("model_type") == "xlm-roberta"
        and values.get("position_embedding_type") == "rotary"
    )


def read_positions(fields: Fields, values: dict[str, Any]) -> None:
    """Read the rotary base in the words of transformers or of the published code."""
    head_width = values["d_model"] // max(values["num_heads"], 1)
    for name in ("head_dim", "rotary_emb_dim"):
        fields.only(name, None, head_width)
    if "rotary_emb_base" not in fields and "position_embedding_type" not in fields:
        read_rotary(fields, values, _BASE)
        return
    fields.only("position_embedding_type", "rotary")
    for name in ("rope_parameters", "rope_scaling"):
        fields.only(name, None, because="rotary_emb_base gives the positions")
    values["rotary_base"] = fields.number("rotary_emb_base", _PUBLISHED_BASE)


def write_positions(config: EncoderConfig) -> dict[str, Any]:
    """The positions in the words of transformers."""
    return {"rope_parameters": write_rope_parameters(config)}


_EMBEDDING: Rows = {
    "embeddings.word_embeddings.weight": "embedding.token.weight",
    "embeddings.token_type_embeddings.weight": "embedding.segment.weight",
    "embeddings.position_ids": None,  # a buffer: 0, 1, 2, ...
    "embeddings.token_type_ids": None,  # a buffer: 0, 0, 0, ...
}

_TRANSFORMERS = KeyTable(
    _EMBEDDING
    | bert.POOLER
    | {
        "embeddings.LayerNorm.{p}": "embedding.norm.{p}",
        "rotary_emb.inv_freq": None,  # a buffer, computed from the config
        "rotary_emb.original_inv_freq": None,
        "layers.{i}.self_attn.q_proj.{p}": "blocks.{i}.attention.query.{p}",
        "layers.{i}.self_attn.k_proj.{p}": "blocks.{i}.attention.key.{p}",
        "layers.{i}.self_attn.v_proj.{p}": "blocks.{i}.attention.value.{p}",
        "layers.{i}.self_attn.o_proj.{p}": "blocks.{i}.attention.output.{p}",
        "layers.{i}.post_attention_layernorm.{p}": "blocks.{i}.attention_norm.{p}",
        "layers.{i}.mlp.fc1.{p}": "blocks.{i}.feed_forward.up.{p}",
        "layers.{i}.mlp.fc2.{p}": "blocks.{i}.feed_forward.down.{p}",
        "layers.{i}.post_mlp_layernorm.{p}": "blocks.{i}.feed_forward_norm.{p}",
    },
    heads=roberta.MASKED_TOKENS | roberta.CLASSIFIERS,
    prefixes=("", "roberta."),
)

JINA_EMBEDDINGS_V3 = Family(
    model_type="jina_embeddings_v3",
    base_class="JinaEmbeddingsV3Model",
    is_published_as=is_published_as,
    published_stem="XLMRoberta",
    rows=dict(bert.FIELDS)
    | {
        "vocab_size": ("vocab_size", 250002),
        "hidden_size": ("d_model", 1024),
        "num_hidden_layers": ("num_layers", 24),
        "num_attention_heads": ("num_heads", 16),
        "intermediate_size": ("d_ff", 4096),
        "max_position_embeddings": ("max_length", 8194),
        "type_vocab_size": ("num_segments", 1),
        "layer_norm_eps": ("norm_eps", 1e-5),
    },
    fixed={"position_embedding": "none", "attention_positions": "rotary"},
    only={
        # Variants of the published code that no model uses.
        "rotary_emb_scale_base": (None,),
        "rotary_emb_interleaved": (False,),
        "window_size": (None, [-1, -1]),
    },
    dropped=roberta.FLASH_DROPPED,
    reads_scaling=True,
    read_quirks=read_positions,
    write_quirks=write_positions,
    published_code=roberta.FLASH_CODE,
    published_modules=frozenset({"custom_st.Transformer"}),
    heads=(*roberta.HEADS, answer_spans()),
    tables=(
        _TRANSFORMERS,
        KeyTable(
            _EMBEDDING | roberta.FLASH_BLOCK | bert.POOLER,
            heads=roberta.MASKED_TOKENS | roberta.CLASSIFIERS,
            prefixes=("", "roberta."),
        ),
    ),
)

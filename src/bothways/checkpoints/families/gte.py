"""GTE (Zhang et al. 2024): BERT with rotary positions and a gated feed-forward, for long texts.

It was published as `new`, with code of its own that bothways never runs; transformers uses other
names. bothways reads both, and writes those of transformers.
"""

from collections.abc import Mapping
from typing import Any

from bothways.checkpoints.families import bert
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import POOLER, classifier, masked_tokens
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable, Rows
from bothways.checkpoints.rotary_fields import UNSCALED, read_rotary, write_rope_parameters
from bothways.errors import UnsupportedModel
from bothways.io.json_files import brief
from bothways.model.config import EncoderConfig

_BASE = 160_000.0
"""Base of the rotary wavelengths where a config of transformers gives none."""
_PUBLISHED_BASE = 10_000.0


def is_published_as(values: Mapping[str, Any]) -> bool:
    """Whether a config.json has the published model_type, `new`."""
    return values.get("model_type") == "new"


def read_positions(fields: Fields, values: dict[str, Any]) -> None:
    """Read rotary positions in the words of transformers or of the published code."""
    fields.only("head_dim", None, values["d_model"] // max(values["num_heads"], 1))
    if "rope_theta" not in fields and "position_embedding_type" not in fields:
        read_rotary(fields, values, _BASE)
        return
    fields.only("position_embedding_type", "rope")
    fields.only("rope_parameters", None, because="rope_theta and rope_scaling give the positions")
    base, factor = fields.number("rope_theta", _PUBLISHED_BASE), 1.0
    if fields.raw("rope_scaling") is not None:
        scale = _ntk_factor(fields)
        # NTK-aware scaling as the code has it: another base, and a factor for all wavelengths.
        head_width = max(values["d_model"] // max(values["num_heads"], 1), 1)
        base, factor = base * scale, scale ** (2 / head_width)
    values |= UNSCALED | {"rotary_base": base, "rotary_factor": factor}


def write_positions(config: EncoderConfig) -> dict[str, Any]:
    """The positions in the words of transformers."""
    return {"rope_parameters": write_rope_parameters(config)}


def _ntk_factor(fields: Fields) -> float:
    scaling = fields.object("rope_scaling")
    kinds = [scaling.raw(name) for name in ("type", "rope_type") if name in scaling]
    factor = scaling.raw("factor")
    scaling.drop(("type", "rope_type"))
    scaling.only("mixed_b", None)
    if kinds not in (["ntk"], ["ntk", "ntk"]) or type(factor) not in (int, float) or factor < 1:
        raise UnsupportedModel(
            f"{fields.file}: rope_scaling={brief(fields.raw('rope_scaling'))}: "
            "bothways runs GTE with a type of 'ntk' and a factor of at least 1"
        )
    scaling.finish("rotary positions")
    return scaling.number("factor")


_HEADS: Rows = {
    "lm_head.dense.{p}": "heads.masked_tokens.dense.{p}",
    "lm_head.decoder.weight": "heads.masked_tokens.weight",
    "lm_head.decoder.bias": "heads.masked_tokens.bias",
    "classifier.{p}": "heads.classifier.{p}",
    "qa_outputs.{p}": "heads.answer_span.{p}",
}

_EMBEDDING: Rows = {
    "embeddings.word_embeddings.weight": "embedding.token.weight",
    "embeddings.token_type_embeddings.weight": "embedding.segment.weight",
    "embeddings.LayerNorm.{p}": "embedding.norm.{p}",
    # Buffers, computed from the config.
    "embeddings.position_ids": None,
    "embeddings.rotary_emb.inv_freq": None,
    "rotary_emb.inv_freq": None,
    "rotary_emb.original_inv_freq": None,
}

_TRANSFORMERS = KeyTable(
    _EMBEDDING
    | bert.POOLER
    | {
        "layers.{i}.self_attn.q_proj.{p}": "blocks.{i}.attention.query.{p}",
        "layers.{i}.self_attn.k_proj.{p}": "blocks.{i}.attention.key.{p}",
        "layers.{i}.self_attn.v_proj.{p}": "blocks.{i}.attention.value.{p}",
        "layers.{i}.self_attn.o_proj.{p}": "blocks.{i}.attention.output.{p}",
        "layers.{i}.post_attention_layernorm.{p}": "blocks.{i}.attention_norm.{p}",
        "layers.{i}.mlp.gate_proj.{p}": "blocks.{i}.feed_forward.gate.{p}",
        "layers.{i}.mlp.up_proj.{p}": "blocks.{i}.feed_forward.up.{p}",
        "layers.{i}.mlp.down_proj.{p}": "blocks.{i}.feed_forward.down.{p}",
        "layers.{i}.post_mlp_layernorm.{p}": "blocks.{i}.feed_forward_norm.{p}",
    },
    heads=_HEADS | {"lm_head.layer_norm.{p}": "heads.masked_tokens.norm.{p}"},
    prefixes=("", "gte."),
)


def _published(attention: Rows) -> KeyTable:
    return KeyTable(
        _EMBEDDING
        | bert.POOLER
        | attention
        | {
            "encoder.layer.{i}.attention.o_proj.{p}": "blocks.{i}.attention.output.{p}",
            "encoder.layer.{i}.attn_ln.{p}": "blocks.{i}.attention_norm.{p}",
            "encoder.layer.{i}.mlp.up_gate_proj.{p}": (
                "blocks.{i}.feed_forward.up.{p}",
                "blocks.{i}.feed_forward.gate.{p}",
            ),
            "encoder.layer.{i}.mlp.down_proj.{p}": "blocks.{i}.feed_forward.down.{p}",
            "encoder.layer.{i}.mlp_ln.{p}": "blocks.{i}.feed_forward_norm.{p}",
        },
        heads=_HEADS | {"lm_head.norm.{p}": "heads.masked_tokens.norm.{p}"},
        prefixes=("", "new.", "gte."),
    )


_PARTS = ("query", "key", "value")
_FUSED = _published(
    {
        "encoder.layer.{i}.attention.qkv_proj.{p}": tuple(
            f"blocks.{{i}}.attention.{part}.{{p}}" for part in _PARTS
        )
    }
)
_SEPARATE = _published(
    {
        f"encoder.layer.{{i}}.attention.{part[0]}_proj.{{p}}": (
            f"blocks.{{i}}.attention.{part}.{{p}}"
        )
        for part in _PARTS
    }
)

_REPOSITORIES = ("", "Alibaba-NLP/new-impl--")
_SUFFIXES = (
    *("Model", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification"),
    *("ForQuestionAnswering", "ForMultipleChoice"),
)
_PUBLISHED_CODE = frozenset(
    prefix + name
    for prefix in _REPOSITORIES
    for name in (
        "configuration.NewConfig",
        *(f"modeling.New{suffix}" for suffix in _SUFFIXES),
        # Arctic Embed 2.0 has the code under other names.
        "configuration_hf_alibaba_nlp_gte.GteConfig",
        *(f"modeling_hf_alibaba_nlp_gte.Gte{suffix}" for suffix in _SUFFIXES),
    )
)

GTE = Family(
    model_type="gte",
    base_class="GteModel",
    is_published_as=is_published_as,
    published_stem="New",
    rows=dict(bert.FIELDS)
    | {
        "vocab_size": ("vocab_size", 250048),
        "max_position_embeddings": ("max_length", 8192),
        "type_vocab_size": ("num_segments", 1),
        "attention_probs_dropout_prob": ("attention_dropout", 0.0),
    },
    fixed={
        "position_embedding": "none",
        "attention_positions": "rotary",
        "gated": True,
        "feed_forward_input_bias": False,
    },
    only={
        "layer_norm_type": ("layer_norm",),
        "logn_attention_scale": (False,),
        "logn_attention_clip1": (False,),
    },
    dropped=("pack_qkv", "unpad_inputs", "use_memory_efficient_attention"),
    reads_scaling=True,
    segments_optional=True,
    read_quirks=read_positions,
    write_quirks=write_positions,
    published_code=_PUBLISHED_CODE,
    heads=(masked_tokens("gelu"), *classifier(POOLER, "tanh")),
    tables=(_TRANSFORMERS, _FUSED, _SEPARATE),
)

"""NomicBERT with a plain feed-forward, or with mixtures of experts (Nussbaum and Duderstadt 2025).

Its files have the `model_type` of NomicBERT, the fields of GPT-2 and published code, which bothways
never runs; transformers has no class for it.
"""

from collections.abc import Mapping
from typing import Any

from bothways.checkpoints.families import bert, nomic_bert
from bothways.checkpoints.family import Family
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable
from bothways.checkpoints.rotary_fields import UNSCALED
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.model.config import EncoderConfig

_CLASSES = {
    "AutoConfig": "configuration_hf_nomic_bert.NomicBertConfig",
    "AutoModel": "modeling_hf_nomic_bert.NomicBertModel",
    "AutoModelForMaskedLM": "modeling_hf_nomic_bert.NomicBertForPreTraining",
    "AutoModelForSequenceClassification": (
        "modeling_hf_nomic_bert.NomicBertForSequenceClassification"
    ),
}


def is_published_as(values: Mapping[str, Any]) -> bool:
    """Whether a config.json of NomicBERT has experts, or a feed-forward without gates."""
    if values.get("model_type") != "nomic_bert":
        return False
    has_experts = any(values.get(name) for name in ("num_experts", "moe_every_n_layers"))
    return has_experts or values.get("activation_function") == "gelu"


def read_experts(fields: Fields, values: dict[str, Any]) -> None:
    """Read sizes and positions as NomicBERT's, and which layers have experts."""
    fields.only("activation_function", "gelu", because="bothways runs experts with gelu")
    fields.only("hidden_act", None, "gelu")
    nomic_bert.read_all_but_activation(fields, values)
    if {name: values[name] for name in UNSCALED} != UNSCALED:
        raise UnsupportedModel(
            f"{fields.file}: rope_parameters: the published code of NomicBERT with experts or "
            "without gates does not scale positions"
        )
    values["activation"] = "gelu"
    period = 0 if fields.raw("moe_every_n_layers") is None else fields.integer("moe_every_n_layers")
    count = 0 if fields.raw("num_experts") is None else fields.integer("num_experts")
    # Layers 1, 1 + n, 1 + 2 n, ... in the published code; none if n is 1.
    layers = range(1, values["num_layers"], period) if period > 1 else ()
    if not layers:
        fields.drop(("moe_top_k",))
        return
    if not count:
        raise CheckpointError(
            f"{fields.file}: moe_every_n_layers={period} and num_experts={count}: "
            "expected at least one expert, or no layers of experts"
        )
    if not values["feed_forward_bias"]:
        raise UnsupportedModel(
            f"{fields.file}: mlp_fc1_bias=False: bothways runs experts with biases"
        )
    values |= {
        "num_experts": count,
        "experts_per_token": fields.integer("moe_top_k", 1),
        "expert_blocks": tuple(layers),
    }


def write_original(config: EncoderConfig) -> dict[str, Any]:
    """The config.json of the published code, which has other defaults for some of the fields."""
    blocks = config.expert_blocks
    if len(blocks) > 1:
        period = blocks[1] - blocks[0]
    else:
        period = max(2, config.num_layers - 1) if blocks else 0
    return {
        "n_embd": config.d_model,
        "n_layer": config.num_layers,
        "n_head": config.num_heads,
        "n_inner": config.d_ff,
        "n_positions": config.max_length,
        "layer_norm_epsilon": config.norm_eps,
        "resid_pdrop": config.dropout,
        "attn_pdrop": config.attention_dropout,
        "activation_function": config.activation,
        "rotary_emb_base": config.rotary_base,
        "rotary_emb_fraction": 1.0,
        "qkv_proj_bias": config.attention_bias,
        "mlp_fc1_bias": config.feed_forward_bias,
        "mlp_fc2_bias": config.feed_forward_bias,
        "num_experts": config.num_experts,
        "moe_top_k": config.experts_per_token,
        "moe_every_n_layers": period,
        "auto_map": {auto: nomic_bert.CODE + name for auto, name in _CLASSES.items()},
    }


NOMIC_BERT_MOE = Family(
    model_type="nomic_bert_moe",
    file_type="nomic_bert",
    base_class="NomicBertModel",
    in_transformers=False,
    is_published_as=is_published_as,
    tokenizer=bert.TOKENIZER,
    rows=nomic_bert.NOMIC_BERT.rows,
    fixed={"position_embedding": "none", "attention_positions": "rotary"},
    # The published code ignores moe_normalize_expert_weights; other implementations do not.
    only=nomic_bert.ONLY
    | {
        "expert_choice_router": (False, None),
        "moe_normalize_expert_weights": (False, None),
    },
    dropped=nomic_bert.DROPPED,
    read_quirks=read_experts,
    write_quirks=write_original,
    published_code=nomic_bert.PUBLISHED_CODE,
    heads=nomic_bert.NOMIC_BERT.heads,
    tables=(
        KeyTable(
            nomic_bert.ORIGINAL_ROWS
            | {
                "encoder.layers.{i}.mlp.fc1.{p}": "blocks.{i}.feed_forward.up.{p}",
                "encoder.layers.{i}.mlp.router.layer.weight": (
                    "blocks.{i}.feed_forward.router.weight"
                ),
                "encoder.layers.{i}.mlp.experts.mlp.w1": (
                    "blocks.{i}.feed_forward.experts.up.weight"
                ),
                "encoder.layers.{i}.mlp.experts.mlp.w2": (
                    "blocks.{i}.feed_forward.experts.down.weight"
                ),
                "encoder.layers.{i}.mlp.experts.bias": "blocks.{i}.feed_forward.experts.bias",
            },
            heads=nomic_bert.HEADS,
            prefixes=nomic_bert.ORIGINAL_PREFIXES,
        ),
    ),
)

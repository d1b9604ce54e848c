"""ESM-C (ESM Team 2024): Llama's layers for protein sequences, in both directions.

Layer norm in place of RMS norm, also of queries and keys, over all heads together; what each
sublayer adds is scaled by the depth, as in ESM-3 (Hayes et al. 2025).
"""

import math
from typing import Any

from bothways.checkpoints.families import esm, llama
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import DECODER, HeadArchitecture, Settings
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable
from bothways.checkpoints.rotary_fields import read_rotary, write_rotary
from bothways.model.config import EncoderConfig
from bothways.model.heads import HeadLayer

_NORM_EPS = 1e-5
"""torch's default, of all norms."""


def read_attention(fields: Fields, values: dict[str, Any]) -> None:
    """Read heads and rotary positions, and scale the sublayers by the depth."""
    llama.read_grouped_heads(fields, values, heads=None, width=None)
    read_rotary(fields, values, 10_000.0)
    if values["num_layers"]:
        values["residual_scale"] = math.sqrt(36 / values["num_layers"])


def write_attention(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_attention`."""
    return llama.write_grouped_heads(config) | write_rotary(config)


def logits_of_tokens(
    config: EncoderConfig, settings: Settings, outputs: int
) -> tuple[HeadLayer, ...]:
    """A dense layer with a norm, and a decoder of its own."""
    dense = HeadLayer(
        name=f"{DECODER}.dense",
        outputs=config.d_model,
        activation="gelu",
        norm=f"{DECODER}.norm",
        norm_eps=_NORM_EPS,
    )
    return dense, HeadLayer(name=DECODER, outputs=outputs)


def logits_of_classes(
    config: EncoderConfig, settings: Settings, outputs: int
) -> tuple[HeadLayer, ...]:
    """A dense layer and the output layer, on the first position."""
    dense = HeadLayer(name="heads.classifier.dense", outputs=config.d_model, activation="tanh")
    return dense, HeadLayer(name="heads.classifier", outputs=outputs)


_ROWS = llama.ROWS | {
    "layers.{i}.self_attn.q_norm.weight": "blocks.{i}.attention.query_norm.weight",
    "layers.{i}.self_attn.k_norm.weight": "blocks.{i}.attention.key_norm.weight",
}

ESMC = Family(
    model_type="esmc",
    base_class="EsmcModel",
    tokenizer=esm.TOKENIZER,
    rows={
        "vocab_size": ("vocab_size", 64),
        "hidden_size": ("d_model", 2560),
        "num_hidden_layers": ("num_layers", 80),
        "num_attention_heads": ("num_heads", 40),
        "intermediate_size": ("d_ff", 6912),
        "hidden_act": ("activation", "silu"),
        "max_position_embeddings": ("max_length", 2048),
        "attention_bias": ("attention_bias", False),
        "mlp_bias": ("feed_forward_bias", False),
        "attention_dropout": ("attention_dropout", 0.0),
    },
    fixed=llama.FIXED
    | {
        "norm": "layer",
        "norm_eps": _NORM_EPS,
        "final_norm_bias": False,
        "query_key_norm": "all_heads",
    },
    only=llama.ONLY,
    kept=llama.KEPT,
    kept_defaults={"tie_word_embeddings": False},
    reads_scaling=True,
    read_quirks=read_attention,
    write_quirks=write_attention,
    needed={"pad_token_id": 1},
    heads=(
        HeadArchitecture(classes=("ForMaskedLM",), outputs="vocabulary", layers=logits_of_tokens),
        HeadArchitecture(
            classes=("ForSequenceClassification",), outputs="sequence", layers=logits_of_classes
        ),
        llama.tags("heads.score"),
    ),
    tables=(
        KeyTable(
            _ROWS,
            heads={
                "lm_head.dense.{p}": f"{DECODER}.dense.{{p}}",
                "lm_head.layer_norm.{p}": f"{DECODER}.norm.{{p}}",
                "lm_head.decoder.weight": f"{DECODER}.weight",
                "lm_head.decoder.bias": f"{DECODER}.bias",
                "classifier.dense.{p}": "heads.classifier.dense.{p}",
                "classifier.out_proj.{p}": "heads.classifier.{p}",
                "score.{p}": "heads.score.{p}",
            },
            prefixes=("", "esmc."),
        ),
    ),
)

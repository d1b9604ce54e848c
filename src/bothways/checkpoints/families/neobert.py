"""NeoBERT (Le Breton et al. 2025): pre-norm layers like Llama's, with attention in both directions.

It was published with code of its own, which bothways never runs. That code differs from Llama's in
two orders of rows: one matrix holds queries, keys and values of each head together, and a rotation
turns neighboring numbers. Both are undone when a folder is read, so that scores stay the same.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bothways.checkpoints.families import bert
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import (
    DECODER,
    HeadArchitecture,
    Settings,
    classifier,
)
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import KeyTable
from bothways.checkpoints.weight_files import StoredWeights
from bothways.model.config import EncoderConfig
from bothways.model.heads import HeadLayer

_FUSED = ".qkv.weight"
_MULTIPLE = 8
"""The width of the feed-forward is rounded up to a multiple of this."""
_REPOSITORY = "chandar-lab/NeoBERT--"
_CLASSES = {
    "AutoConfig": "model.NeoBERTConfig",
    "AutoModel": "model.NeoBERT",
    "AutoModelForMaskedLM": "model.NeoBERTLMHead",
    "AutoModelForSequenceClassification": "model.NeoBERTForSequenceClassification",
}


def read_sizes(fields: Fields, values: dict[str, Any]) -> None:
    """Read the width of the feed-forward: two thirds of what the file says, rounded up."""
    fields.only("dim_head", None, values["d_model"] // max(values["num_heads"], 1))
    values["d_ff"] = -(-(2 * values["d_ff"] // 3) // _MULTIPLE) * _MULTIPLE


def write_sizes(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_sizes`, for widths that are multiples of 8, and the published code."""
    return {
        "intermediate_size": 3 * config.d_ff // 2,
        "dim_head": config.head_width,
        "auto_map": {auto: _REPOSITORY + name for auto, name in _CLASSES.items()},
    }


def fold_heads(values: Mapping[str, Any], stored: StoredWeights) -> StoredWeights:
    """Reorder the rows of fused matrices: all queries, all keys, all values, halves for pairs."""
    num_heads = values.get("num_attention_heads", 12)
    return stored.replacing(
        {
            name: array[_order(num_heads, array.shape[0] // (3 * num_heads))]
            for name, array in stored.arrays.items()
            if name.endswith(_FUSED) and array.ndim == 2 and array.shape[0] % (6 * num_heads) == 0
        }
    )


def unfold_heads(config: EncoderConfig, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inverse of `fold_heads`."""
    back = np.argsort(_order(config.num_heads, config.head_width))
    return {name: a[back] if name.endswith(_FUSED) else a for name, a in arrays.items()}


def _order(num_heads: int, head_width: int) -> np.ndarray:
    """The rows of a fused matrix in the order of bothways.

    H heads, K head width. Rows are stored by head, part and number, and read by part, head and
    number; the pair of numbers 2i and 2i + 1 of a query or key becomes i and i + K/2.
    """
    rows_HPK = np.arange(3 * num_heads * head_width).reshape(num_heads, 3, head_width)
    rows_PHK = rows_HPK.transpose(1, 0, 2).copy()
    rotated = rows_PHK[:2]
    rows_PHK[:2] = np.concatenate((rotated[..., 0::2], rotated[..., 1::2]), axis=-1)
    return rows_PHK.reshape(-1)


def logits_of_tokens(
    config: EncoderConfig, settings: Settings, outputs: int
) -> tuple[HeadLayer, ...]:
    """One layer, a decoder of its own."""
    return (HeadLayer(name=DECODER, outputs=outputs),)


_OF_SEQUENCE, _ = classifier("heads.classifier.dense", "tanh")

NEOBERT = Family(
    model_type="neobert",
    base_class="NeoBERT",
    is_always_named=True,
    in_transformers=False,
    tokenizer=bert.TOKENIZER,
    rows={
        "vocab_size": ("vocab_size", 30522),
        "hidden_size": ("d_model", 768),
        "num_hidden_layers": ("num_layers", 28),
        "num_attention_heads": ("num_heads", 12),
        "intermediate_size": ("d_ff", 3072),
        "max_length": ("max_length", 1024),
        "norm_eps": ("norm_eps", 1e-6),
    },
    fixed={
        "position_embedding": "none",
        "attention_positions": "rotary",
        "embedding_norm": False,
        "norm": "rms",
        "norm_placement": "pre",
        "final_norm": True,
        "activation": "silu",
        "gated": True,
        "attention_bias": False,
        "feed_forward_bias": False,
        "dropout": 0.0,
        "attention_dropout": 0.0,
    },
    only={
        # Of a call to from_pretrained, saved with the config of the published model.
        "trust_remote_code": (True, False, None),
        # Variants of the code that trained it, which the published code does not have.
        "hidden_act": ("swiglu", "SwiGLU", None),
        "rms_norm": (True, None),
        "rope": (True, None),
        "ngpt": (False, None),
    },
    kept=("classifier_init_range", "decoder_init_range", "embedding_init_range"),
    dropped=("kwargs", "pretrained_model_name_or_path"),
    kept_defaults={"tie_word_embeddings": False, "classifier_dropout": 0.1},
    read_quirks=read_sizes,
    write_quirks=write_sizes,
    fold=fold_heads,
    unfold=unfold_heads,
    published_code=frozenset(
        prefix + name for prefix in ("", _REPOSITORY) for name in _CLASSES.values()
    ),
    heads=(
        HeadArchitecture(classes=("LMHead",), outputs="vocabulary", layers=logits_of_tokens),
        _OF_SEQUENCE,
    ),
    tables=(
        KeyTable(
            {
                "encoder.weight": "embedding.token.weight",
                # After `fold_heads`.
                "transformer_encoder.{i}.qkv.{p}": (
                    "blocks.{i}.attention.query.{p}",
                    "blocks.{i}.attention.key.{p}",
                    "blocks.{i}.attention.value.{p}",
                ),
                "transformer_encoder.{i}.wo.{p}": "blocks.{i}.attention.output.{p}",
                "transformer_encoder.{i}.attention_norm.{p}": "blocks.{i}.attention_norm.{p}",
                # silu(first half) · second half
                "transformer_encoder.{i}.ffn.w12.{p}": (
                    "blocks.{i}.feed_forward.gate.{p}",
                    "blocks.{i}.feed_forward.up.{p}",
                ),
                "transformer_encoder.{i}.ffn.w3.{p}": "blocks.{i}.feed_forward.down.{p}",
                "transformer_encoder.{i}.ffn_norm.{p}": "blocks.{i}.feed_forward_norm.{p}",
                "layer_norm.{p}": "final_norm.{p}",
            },
            heads={
                "decoder.{p}": f"{DECODER}.{{p}}",
                "dense.{p}": "heads.classifier.dense.{p}",
                "classifier.{p}": "heads.classifier.{p}",
            },
            prefixes=("", "model."),
        ),
    ),
)

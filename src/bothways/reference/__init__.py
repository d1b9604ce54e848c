"""The definition of the encoder: one sequence, any array library, no optimization.

All functions follow the Python array API standard, so the same code runs on NumPy, torch and JAX
arrays. It shows how an encoder works, and tests compare every other backend with it. Read the files
in this order: `embedding`, `positions`, `attention`, `block`, `encoder`, `pooling`, `heads`.
"""

from bothways.reference.attention import scaled_dot_product, self_attention, softmax
from bothways.reference.block import encoder_block
from bothways.reference.embedding import embed
from bothways.reference.encoder import Encoded, encode
from bothways.reference.heads import head_outputs, probabilities, saturate, term_weights
from bothways.reference.layers import activate, layer_norm, linear, normalize
from bothways.reference.maxsim import maxsim
from bothways.reference.pooling import pool
from bothways.reference.positions import (
    AttentionPositions,
    add_positions,
    attention_positions,
    rotate,
    sinusoids,
)

__all__ = [
    "AttentionPositions",
    "Encoded",
    "activate",
    "add_positions",
    "attention_positions",
    "embed",
    "encode",
    "encoder_block",
    "head_outputs",
    "layer_norm",
    "linear",
    "maxsim",
    "normalize",
    "pool",
    "probabilities",
    "rotate",
    "saturate",
    "scaled_dot_product",
    "self_attention",
    "sinusoids",
    "softmax",
    "term_weights",
]

"""The definition of the encoder: one sequence, any array library, no tricks.

Every function here is written against the Python array API standard, so the same code runs on
NumPy, torch and JAX arrays. It is the page to read to see how an encoder works, and what every
other backend is compared with. Read it in this order: `embedding`, `attention`, `block`, `encoder`,
`pooling`, `heads`.
"""

from bothways.reference.attention import rotate, scaled_dot_product, self_attention, softmax
from bothways.reference.block import encoder_block
from bothways.reference.embedding import embed, sinusoids
from bothways.reference.encoder import Encoded, encode
from bothways.reference.heads import head_outputs, probabilities, term_weights
from bothways.reference.layers import activate, layer_norm, linear, normalize
from bothways.reference.pooling import pool

__all__ = [
    "Encoded",
    "activate",
    "embed",
    "encode",
    "encoder_block",
    "head_outputs",
    "layer_norm",
    "linear",
    "normalize",
    "pool",
    "probabilities",
    "rotate",
    "scaled_dot_product",
    "self_attention",
    "sinusoids",
    "softmax",
    "term_weights",
]

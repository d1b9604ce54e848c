"""The encoder in PyTorch, on packed batches: for training, and for GPUs.

It has the files and names of `bothways.reference`, so that the two can be read side by side. Read
the files in this order: `lengths`, `embedding`, `positions`, `attention`, `kernels`, `block`,
`encoder`, `pooling`, `backend`.
"""

from importlib.util import find_spec

from bothways.errors import MissingExtra

if find_spec("torch") is None:
    raise MissingExtra("torch", "bothways.nn")

from bothways.nn.attention import MultiHeadSelfAttention
from bothways.nn.backend import TorchBackend
from bothways.nn.block import EncoderBlock, FeedForward
from bothways.nn.embedding import Embedding
from bothways.nn.encoder import TransformerEncoder
from bothways.nn.kernels import attend
from bothways.nn.layers import Linear, activate
from bothways.nn.lengths import Lengths
from bothways.nn.pooling import pool

__all__ = [
    "Embedding",
    "EncoderBlock",
    "FeedForward",
    "Lengths",
    "Linear",
    "MultiHeadSelfAttention",
    "TorchBackend",
    "TransformerEncoder",
    "activate",
    "attend",
    "pool",
]

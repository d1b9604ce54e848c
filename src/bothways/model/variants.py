"""The variants of an encoder: each field of `EncoderConfig` that chooses one formula among several.

Every backend resolves each of these fields in a single `match` that ends in `assert_never`, so that
the type checker reports a backend that lacks a variant.
"""

from typing import Literal

__all__ = [
    "Activation",
    "AttentionDirection",
    "AttentionPositions",
    "ConvolutionActivation",
    "Input",
    "Norm",
    "NormPlacement",
    "PositionEmbedding",
    "QueryKeyNorm",
    "RotaryPrecision",
    "RotaryScaling",
]

Input = Literal["tokens", "vectors"]
PositionEmbedding = Literal["learned", "sinusoidal", "none"]
AttentionPositions = Literal["rotary", "relative", "alibi", "disentangled", "none"]
AttentionDirection = Literal["both", "causal"]
RotaryPrecision = Literal["exact", "float16"]
RotaryScaling = Literal["linear", "yarn", "llama3", "longrope"]
Norm = Literal["layer", "rms"]
NormPlacement = Literal["post", "pre", "sandwich"]
QueryKeyNorm = Literal["none", "head", "all_heads"]
Activation = Literal["relu", "gelu", "gelu_tanh", "silu"]
ConvolutionActivation = Literal["tanh", "relu", "gelu", "gelu_tanh", "silu"]

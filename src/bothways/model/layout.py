"""The layout of an encoder's weights: their names and shapes, and initial values.

`layout` is the only list of weight names. The reference and the engine index by it, torch's
`state_dict()` equals it, saved files use it, and `checkpoints` maps the names of other libraries
to it.
"""

from collections.abc import Iterator
from typing import assert_never

import numpy as np

from bothways.model.config import EncoderConfig

__all__ = ["Shape", "initialize", "layout"]

Shape = tuple[int, ...]


def layout(config: EncoderConfig) -> dict[str, Shape]:
    """Name and shape of every weight of an encoder; matrices are (out, in).

    >>> config = EncoderConfig(num_layers=1, num_heads=2, d_model=8, d_ff=32, vocab_size=100)
    >>> layout(config)["blocks.0.feed_forward.up.weight"]
    (32, 8)
    """
    names = dict(_embedding(config))
    match config.attention_positions:
        case "relative":
            names["relative_bias.weight"] = (config.relative_buckets, config.num_heads)
        case "rotary" | "alibi" | "none":
            pass
        case unknown:
            assert_never(unknown)
    for block in range(config.num_blocks):
        names |= {f"blocks.{block}.{name}": shape for name, shape in _block(config, block)}
    if config.final_norm:
        names |= dict(_norm(config, "final_norm", config.d_model))
    return names


def initialize(
    config: EncoderConfig, *, seed: int = 0, scale: float = 0.02
) -> dict[str, np.ndarray]:
    """Initial float32 weights for `config`; equal seeds give equal weights.

    Matrices and tables are normal with standard deviation `scale` (Devlin et al. 2019, and BERT's
    released code), gains 1, biases 0.
    """
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in layout(config).items():
        if len(shape) > 1:
            weights[name] = scale * rng.standard_normal(shape, dtype=np.float32)
        else:
            fill = 1 if name.endswith(".weight") else 0
            weights[name] = np.full(shape, fill, dtype=np.float32)
    return weights


def _embedding(config: EncoderConfig) -> Iterator[tuple[str, Shape]]:
    width = config.embedding_width
    match config.input:
        case "tokens":
            yield "embedding.token.weight", (config.vocab_size, width)
        case "vectors":
            yield from _linear("embedding.input", config.num_channels, width, bias=True)
        case unknown:
            assert_never(unknown)
    if config.num_segments:
        yield "embedding.segment.weight", (config.num_segments, width)
    match config.position_embedding:
        case "learned":
            yield "embedding.position.weight", (config.position_offset + config.max_length, width)
        case "sinusoidal" | "none":
            pass
        case other:
            assert_never(other)
    if config.embedding_norm:
        yield from _norm(config, "embedding.norm", width)
    if config.embedding_size is not None:
        yield from _linear("embedding.projection", width, config.d_model, bias=True)


def _block(config: EncoderConfig, block: int) -> Iterator[tuple[str, Shape]]:
    D, F = config.d_model, config.d_ff
    for name in ("query", "key", "value", "output"):
        yield from _linear(f"attention.{name}", D, D, bias=config.attention_bias)
    if config.has_attention_norm(block):
        yield from _norm(config, "attention_norm", D)
    for name in ("gate", "up") if config.gated else ("up",):
        yield from _linear(f"feed_forward.{name}", D, F, bias=config.has_feed_forward_input_bias)
    yield from _linear("feed_forward.down", F, D, bias=config.feed_forward_bias)
    yield from _norm(config, "feed_forward_norm", D)


def _linear(name: str, inputs: int, outputs: int, *, bias: bool) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (outputs, inputs)
    if bias:
        yield f"{name}.bias", (outputs,)


def _norm(config: EncoderConfig, name: str, width: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (width,)
    if config.norm_has_bias:
        yield f"{name}.bias", (width,)

"""The layout of an encoder's weights: their names and shapes, and initial values.

`layout` is the only list of weight names. The reference and the engine index by it, torch's
`state_dict()` equals it, saved files use it, and `checkpoints` maps the names of other libraries
to it.
"""

from collections.abc import Iterator
from typing import assert_never

import numpy as np

from bothways.model.config import EncoderConfig
from bothways.model.disentangled import position_projections

__all__ = ["Shape", "initialize", "layout"]

Shape = tuple[int, ...]


def layout(config: EncoderConfig) -> dict[str, Shape]:
    """Name and shape of every weight of an encoder; matrices are (out, in) but those of experts.

    >>> config = EncoderConfig(num_layers=1, num_heads=2, d_model=8, d_ff=32, vocab_size=100)
    >>> layout(config)["blocks.0.feed_forward.up.weight"]
    (32, 8)
    """
    names = dict(_embedding(config))
    match config.attention_positions:
        case "relative":
            names["relative_bias.weight"] = (config.relative_buckets, config.num_heads)
        case "disentangled":
            names["relative_embedding.weight"] = (config.relative_buckets, config.d_model)
            if config.relative_embedding_norm:
                names |= dict(_norm("relative_norm", config.d_model, bias=config.norm_has_bias))
        case "rotary" | "alibi" | "none":
            pass
        case unknown:
            assert_never(unknown)
    for block in range(config.num_blocks):
        names |= {f"blocks.{block}.{name}": shape for name, shape in _block(config, block)}
    if config.convolution_kernel_size:
        names |= dict(_convolution(config))
    if config.final_norm:
        has_bias = config.norm_has_bias and config.final_norm_bias
        names |= dict(_norm("final_norm", config.d_model, bias=has_bias))
    return names


def initialize(
    config: EncoderConfig, *, seed: int = 0, scale: float = 0.02
) -> dict[str, np.ndarray]:
    """Initial float32 weights for `config`; equal seeds give equal weights.

    Matrices and tables are normal with standard deviation `scale` (Devlin et al. 2019, and BERT's
    released code), gains 1 (stored as 0 with `norm_zero_centered`), biases 0.
    """
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in layout(config).items():
        if len(shape) > 1:
            weights[name] = scale * rng.standard_normal(shape, dtype=np.float32)
        else:
            is_gain = name.endswith(".weight") and not config.norm_zero_centered
            fill = 1 if is_gain else 0
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
        yield from _norm("embedding.norm", width, bias=config.norm_has_bias)
    if config.embedding_size is not None:
        yield from _linear("embedding.projection", width, config.d_model, bias=True)


def _block(config: EncoderConfig, block: int) -> Iterator[tuple[str, Shape]]:
    D = config.d_model
    yield from _attention(config)
    if config.has_attention_norm(block):
        yield from _norm("attention_norm", D, bias=config.norm_has_bias)
    yield from _experts(config) if config.has_experts(block) else _feed_forward(config)
    yield from _norm("feed_forward_norm", D, bias=config.norm_has_bias)
    match config.norm_placement:
        case "post" | "pre":
            pass
        case "sandwich":
            yield from _norm("attention_output_norm", D, bias=config.norm_has_bias)
            yield from _norm("feed_forward_output_norm", D, bias=config.norm_has_bias)
        case unknown:
            assert_never(unknown)


def _convolution(config: EncoderConfig) -> Iterator[tuple[str, Shape]]:
    """The inputs of an output are the channels of its group at each position of the kernel."""
    yield from _linear("convolution", config.convolution_inputs, config.d_model, bias=True)
    yield from _norm("convolution_norm", config.d_model, bias=config.norm_has_bias)


def _feed_forward(config: EncoderConfig) -> Iterator[tuple[str, Shape]]:
    D, F = config.d_model, config.d_ff
    for name in ("gate", "up") if config.gated else ("up",):
        yield from _linear(f"feed_forward.{name}", D, F, bias=config.has_feed_forward_input_bias)
    yield from _linear("feed_forward.down", F, D, bias=config.feed_forward_bias)


def _experts(config: EncoderConfig) -> Iterator[tuple[str, Shape]]:
    """Each expert has d_ff rows of both maps: row j reads hidden unit j (up) or writes it (down).

    So `down` is (in, out), as published files have it. One bias follows the sum of the experts.
    """
    D, F, X = config.d_model, config.d_ff, config.num_experts
    yield "feed_forward.router.weight", (X, D)
    yield "feed_forward.experts.up.weight", (X * F, D)
    yield "feed_forward.experts.down.weight", (X * F, D)
    if config.feed_forward_bias:
        yield "feed_forward.experts.bias", (D,)


def _attention(config: EncoderConfig) -> Iterator[tuple[str, Shape]]:
    D, Q, V = config.d_model, config.query_width, config.key_value_width
    key_bias, bias = config.has_attention_key_bias, config.attention_bias
    for name, width in (("query", Q), ("key", V), ("value", V)):
        has_bias = key_bias if name == "key" else bias
        yield from _linear(f"attention.{name}", D, width, bias=has_bias)
    yield from _linear("attention.output", Q, D, bias=config.has_attention_output_bias)
    for name in position_projections(config):
        width, has_bias = (V, key_bias) if name == "position_key" else (Q, bias)
        yield from _linear(f"attention.{name}", D, width, bias=has_bias)
    match config.query_key_norm:
        case "none":
            return
        case "head":
            widths = config.head_width, config.head_width
        case "all_heads":
            widths = Q, V
        case unknown:
            assert_never(unknown)
    for name, width in zip(("query_norm", "key_norm"), widths, strict=True):
        yield from _norm(f"attention.{name}", width, bias=False)


def _linear(name: str, inputs: int, outputs: int, *, bias: bool) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (outputs, inputs)
    if bias:
        yield f"{name}.bias", (outputs,)


def _norm(name: str, width: int, *, bias: bool) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (width,)
    if bias:
        yield f"{name}.bias", (width,)

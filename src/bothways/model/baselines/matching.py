"""The size of a baseline that has as many weights as a Transformer."""

import math
from collections.abc import Callable

from bothways.errors import ConfigError
from bothways.model import layout as transformer
from bothways.model.baselines import layout as baseline
from bothways.model.baselines.config import BaselineConfig, BaselineName, layers_to_see
from bothways.model.config import EncoderConfig

__all__ = ["TOLERANCE", "matched_config"]

TOLERANCE = 0.05
"""Allowed relative difference in the number of weights."""


def matched_config(
    name: BaselineName, like: EncoderConfig, *, num_layers: int | None = None
) -> BaselineConfig:
    """The config of a baseline with as many weights as the Transformer, within 5 %.

    All weights of both encoders count, including embeddings. Input, vocabulary, maximum length and
    dropout are the Transformer's. So is the depth, unless `num_layers` is given; a convolution has
    more layers if its receptive field needs them to cover all positions. The embeddings start with
    the Transformer's width; then the layers become as wide as the number of weights allows, and
    finally the embeddings.

    Raises:
        ConfigError: if the Transformer is so small that no width is close enough.
    """
    target = sum(math.prod(shape) for shape in transformer.layout(like).values())
    depth = like.num_layers if num_layers is None else num_layers
    if num_layers is None and name == "convolution":
        depth = max(depth, layers_to_see(like.max_length))

    def config(width: int, embedding_width: int) -> BaselineConfig:
        return BaselineConfig(
            kind=name,
            num_layers=depth,
            width=width,
            embedding_width=embedding_width,
            max_length=like.max_length,
            input=like.input,
            vocab_size=like.vocab_size,
            num_channels=like.num_channels,
            dropout=like.dropout,
        )

    def fits(width: int, embedding_width: int) -> bool:
        return _count(config(width, embedding_width)) <= target

    width = _largest(lambda width: fits(width, like.embedding_width))
    embedding_width = _largest(lambda embedding_width: fits(width, embedding_width))
    matched = config(width, embedding_width)
    if abs(_count(matched) - target) > TOLERANCE * target:
        raise ConfigError(
            f"no {name} has within {TOLERANCE:.0%} of the {target:,} weights of this Transformer; "
            f"the nearest has {_count(matched):,}: choose a larger d_model"
        )
    return matched


def _count(config: BaselineConfig) -> int:
    return sum(math.prod(shape) for shape in baseline.layout(config).values())


def _largest(holds: Callable[[int], bool]) -> int:
    """The largest n >= 1 with `holds(n)`, which must be true up to some n and false above."""
    low, high = 1, 2
    while holds(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low

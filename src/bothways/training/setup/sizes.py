"""Default sizes and architectures of new encoders."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, assert_never

from bothways.errors import ConfigError
from bothways.model.config import EncoderConfig
from bothways.model.inputs import InputKind
from bothways.training.options.new_model import Architecture, NewModelOptions, SizeName
from bothways.training.options.objective import TrainingTask

__all__ = ["SIZES", "DataShape", "Size", "choose_defaults", "new_config"]


class Size(NamedTuple):
    """Number of layers, width, and vocabulary size in tokens."""

    num_layers: int
    d_model: int
    vocab_size: int


SIZES: Mapping[SizeName, Size] = {
    "tiny": Size(2, 128, 8_192),
    "small": Size(4, 256, 16_384),
    "base": Size(12, 768, 30_528),
}


class DataShape(NamedTuple):
    """The number of training rows, and the lengths of the shortest and the longest sequence."""

    rows: int
    shortest: int
    longest: int


FEW_ROWS = 1000
"""Below this number of rows, a tiny model is the default to classify or regress, and a stem for
long series."""

LONG_SERIES = 48
"""Series of more positions are long: a stem divides them into patches of at least two."""

HEAD_WIDTH = 64
"""As in the base models of Devlin et al. 2019 and Warner et al. 2024."""

_FROM_DATA = ("input", "vocab_size", "num_channels")


def choose_defaults(
    options: NewModelOptions, kind: InputKind, task: TrainingTask, survey: DataShape
) -> NewModelOptions:
    """The options of a new model with size, architecture and stem, which depend on the data.

    The size is `small`, but `tiny` to classify or regress few rows, which a larger model learns by
    heart. The architecture is `modern`, but `aligned` to classify or regress symbols or series that
    all have one length. Their positions usually correspond, as pixels of an image or residues of an
    alignment do, and what matters is what is where. Rotary positions only express distances, and
    the mean over positions loses where something was; learned positions keep it.

    Few long series are read through a stem: too few to learn filters from their values.
    """
    predicts = task in ("classify", "regress")
    has_few_rows = predicts and survey.rows < FEW_ROWS
    is_aligned = predicts and kind != "text" and survey.shortest == survey.longest
    return dataclasses.replace(
        options,
        size=options.size or ("tiny" if has_few_rows else "small"),
        architecture=options.architecture or ("aligned" if is_aligned else "modern"),
        series_stem=(
            has_few_rows and kind == "series" and survey.longest > LONG_SERIES
            if options.series_stem is None
            else options.series_stem
        ),
    )


def new_config(
    size: SizeName,
    *,
    architecture: Architecture = "modern",
    vocab_size: int = 0,
    num_channels: int = 0,
    max_length: int = 512,
    fields: Mapping[str, Any],
) -> EncoderConfig:
    """The config of a new encoder: of tokens, or of series if `num_channels` is not 0.

    fields: fields of `EncoderConfig` that replace the defaults. `num_heads` and `d_ff` depend on
        `d_model` unless they are given.

    Raises:
        ConfigError: naming a field that is invalid, unknown, or determined by the data.
    """
    for name in _FROM_DATA:
        if name in fields:
            raise ConfigError(f"{name} is determined by the data; remove it")
    values: dict[str, Any] = {
        "num_layers": SIZES[size].num_layers,
        "d_model": SIZES[size].d_model,
        "max_length": max_length,
        "input": "vectors" if num_channels else "tokens",
        "vocab_size": vocab_size,
        "num_channels": num_channels,
        # Attention without dropout uses fused kernels; dropout elsewhere is enough.
        "attention_dropout": 0.0,
    }
    d_model = fields.get("d_model")
    if type(d_model) is not int or d_model < 1:  # `from_dict` reports an invalid value
        d_model = SIZES[size].d_model
    values["num_heads"] = _heads(d_model)
    values["d_ff"] = _feed_forward(d_model, architecture)
    match architecture:
        case "modern" | "aligned":
            is_modern = architecture == "modern"
            values |= {
                "position_embedding": "none" if is_modern else "learned",
                "attention_positions": "rotary" if is_modern else "none",
                "norm_placement": "pre",
                "first_attention_norm": False,
                "final_norm": True,
                "norm_eps": 1e-5,
                "norm_bias": False,
                "gated": True,
                "attention_bias": False,
                "feed_forward_bias": False,
            }
        case "classic":
            values["num_segments"] = 0 if num_channels else 2
        case unknown:
            assert_never(unknown)
    return EncoderConfig.from_dict(values | dict(fields))


def _heads(d_model: int) -> int:
    """The number of heads of about `HEAD_WIDTH`; their width is even, for rotary positions."""
    for heads in range(max(d_model // HEAD_WIDTH, 1), 0, -1):
        if d_model % heads == 0 and (d_model // heads) % 2 == 0:
            return heads
    return 1


def _feed_forward(d_model: int, architecture: Architecture) -> int:
    """The width of the feed-forward, a multiple of 32.

    Four times the model's width (Vaswani et al. 2017, section 3.3); two thirds of that if gated,
    for the same number of weights (Shazeer 2020, section 2).
    """
    width = 4 * d_model if architecture == "classic" else 8 * d_model / 3
    return max(32 * round(width / 32), 32)

"""Rotary positions (Su et al. 2021, section 3.2): angles per position, and how they are scaled."""

import math
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, assert_never

from bothways.model.variants import RotaryPrecision

if TYPE_CHECKING:
    from bothways.model.config import EncoderConfig

__all__ = ["Rotation", "plain_frequencies", "rotation"]

Frequencies = tuple[float, ...]
"""Radians per position, for each of the K / 2 pairs of numbers of a head."""


class Rotation(NamedTuple):
    """How the queries and keys of a layer are rotated by their positions.

    frequencies: radians per position for each of the K / 2 pairs of a head's numbers.
    magnitude: factor of the rotated queries and keys.
    """

    frequencies: Frequencies
    magnitude: float = 1.0


def rotation(config: "EncoderConfig", base: float) -> Rotation:
    """The rotation of a config's scaled layers, whose wavelengths have this base."""
    frequencies = plain_frequencies(base, config.head_width)
    factor, turns = config.rotary_factor, config.rotary_turns
    length = config.rotary_original_length or config.max_length
    match config.rotary_scaling:
        case "linear":
            frequencies = tuple(f / factor for f in frequencies)
        case "yarn":
            frequencies = _yarn(
                frequencies, base, factor, length, turns, whole_pairs=config.rotary_whole_pairs
            )
        case "llama3":
            frequencies = _llama3(frequencies, factor, length, turns)
        case "longrope":
            pairs = zip(frequencies, config.rotary_pair_factors, strict=True)
            frequencies = tuple(f / each for f, each in pairs)
        case unknown:
            assert_never(unknown)
    return Rotation(_rounded(frequencies, config.rotary_precision), config.rotary_magnitude)


def plain_frequencies(base: float, head_width: int) -> Frequencies:
    """base^(-2i/K) for pair i of a head that is K wide."""
    K = head_width
    return tuple(base ** (-2 * i / K) for i in range(K // 2))


def _yarn(
    frequencies: Frequencies,
    base: float,
    factor: float,
    length: int,
    turns: Sequence[float],
    *,
    whole_pairs: bool,
) -> Frequencies:
    """YaRN (Peng et al. 2023, section 3.2), as transformers computes it.

    Pairs that turn more than turns[1] times in `length` positions stay as they are; those that turn
    less than turns[0] times are divided by `factor`; between them the share of both falls with the
    index of the pair. whole_pairs: whether the bounds are rounded, so that more pairs are between.
    """
    slow, fast = turns
    K = 2 * len(frequencies)
    low, high = (
        K * math.log(length / (n * 2 * math.pi)) / (2 * math.log(base)) for n in (fast, slow)
    )
    if whole_pairs:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, K - 1)
    span = high - low or 0.001
    scaled = [min(max((i - low) / span, 0.0), 1.0) for i in range(K // 2)]
    return tuple(
        f * share / factor + f * (1 - share) for f, share in zip(frequencies, scaled, strict=True)
    )


def _llama3(
    frequencies: Frequencies, factor: float, length: int, turns: Sequence[float]
) -> Frequencies:
    """Llama 3.1 (Grattafiori et al. 2024, section 3.4.2, and the released code).

    As YaRN, but between the bounds the share depends on the number of turns.
    """
    slow, fast = turns
    kept = [
        min(max((length * f / (2 * math.pi) - slow) / (fast - slow), 0.0), 1.0) for f in frequencies
    ]
    return tuple(
        f * (1 - share) / factor + f * share for f, share in zip(frequencies, kept, strict=True)
    )


def _rounded(frequencies: Frequencies, precision: RotaryPrecision) -> Frequencies:
    """The frequencies in the precision that a model was trained with."""
    match precision:
        case "exact":
            return frequencies
        case "float16":  # computed in float32, then rounded
            return _round_to("e", _round_to("f", frequencies))
        case unknown:
            assert_never(unknown)


def _round_to(code: str, numbers: Frequencies) -> Frequencies:
    """The numbers as `struct` stores them: code f for single precision, e for half."""
    packed = struct.pack(f"{len(numbers)}{code}", *numbers)
    return struct.unpack(f"{len(numbers)}{code}", packed)

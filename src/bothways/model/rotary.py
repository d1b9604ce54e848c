"""The frequencies of rotary positions (Su et al. 2021, section 3.2)."""

import struct
from typing import assert_never

from bothways.model.variants import RotaryPrecision

__all__ = ["rotary_frequencies"]


def rotary_frequencies(
    base: float, head_width: int, precision: RotaryPrecision, *, factor: float = 1.0
) -> tuple[float, ...]:
    """Radians per position for each of the K / 2 pairs i of a head: base^(-2i/K) / factor."""
    K = head_width
    exact = tuple(base ** (-2 * i / K) / factor for i in range(K // 2))
    match precision:
        case "exact":
            return exact
        case "float16":  # computed in float32, then rounded
            return _round_to("e", _round_to("f", exact))
        case unknown:
            assert_never(unknown)


def _round_to(code: str, numbers: tuple[float, ...]) -> tuple[float, ...]:
    """The numbers as `struct` stores them: code f for single precision, e for half."""
    packed = struct.pack(f"{len(numbers)}{code}", *numbers)
    return struct.unpack(f"{len(numbers)}{code}", packed)

"""Sizes in bytes, as people write and read them."""

import re

__all__ = ["format_bytes", "parse_bytes"]

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_bytes(text: str) -> int:
    """Read a number of bytes: `512MB`, `2 GB`, `1.5GiB` or a plain number.

    Raises:
        ValueError: for anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?", text.strip().upper())
    if match is None or (match[3] and not match[2]):
        raise ValueError(f"{text!r}: expected a size such as 512MB, 2GB or 1.5GiB")
    unit = (_BINARY_UNITS if match[3] else _UNITS)[match[2]]
    return int(float(match[1]) * unit)


def format_bytes(count: float) -> str:
    """Write a number of bytes in a readable unit: `91 MB`, `1.2 GB`."""
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while count >= 1000 and len(units) > 1:
        count /= 1000
        units.pop(0)
    unit = units[0]
    return f"{count:.1f} {unit}" if count < 10 and unit != "bytes" else f"{count:.0f} {unit}"

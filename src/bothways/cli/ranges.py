"""Ranges of numbers on the command line, such as `1-5,9`."""

import dataclasses
import re
from typing import Self

from bothways.errors import InputError

__all__ = ["Ranges"]

_RANGES = re.compile(r"[1-9]\d{0,8}(-[1-9]\d{0,8})?(,[1-9]\d{0,8}(-[1-9]\d{0,8})?)*")


@dataclasses.dataclass(frozen=True)
class Ranges:
    """Whole numbers from 1, as inclusive ranges.

    >>> ranges = Ranges.parse("1-3,6", "--rows")
    >>> [number for number in range(10) if number in ranges]
    [1, 2, 3, 6]
    """

    text: str
    spans: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, text: str, option: str) -> Self:
        """Ranges from their text.

        option: for the message.

        Raises:
            InputError: if they are not ranges, or one ends before it begins.
        """
        if not _RANGES.fullmatch(text):
            raise InputError(f"{option} {text}: expected numbers from 1 and ranges, such as 1-5,9")
        ends = [part.partition("-") for part in text.split(",")]
        spans = tuple((int(first), int(last or first)) for first, _, last in ends)
        for first, last in spans:
            if first > last:
                raise InputError(f"{option} {first}-{last}: ends before it begins")
        return cls(text, spans)

    def __str__(self) -> str:
        """As they were given."""
        return self.text

    def __contains__(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self.spans)

    @property
    def last(self) -> int:
        """The largest number."""
        return max(last for _, last in self.spans)

    def up_to(self, count: int, option: str, noun: str) -> list[int]:
        """The numbers in order.

        Raises:
            InputError: if one is larger than `count`, the number of all.
        """
        if self.last > count:
            raise InputError(f"{option} {self.text}: there are {count} {noun}")
        return [number for number in range(1, count + 1) if number in self]

"""Rewrite dates in ISO 8601: a small translation task that reorders day, month and year.

The formats come from many countries and standards. Every text means exactly one date: in numeric
formats the separator determines the order (day.month.year, month/day/year, year-month-day).
"""

import dataclasses
import datetime
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from bothways.errors import InputError
from bothways.lab.tasks.base import SequencePairs, Split, TaskAlphabet, task_rng

__all__ = ["FORMATS", "LENGTHS", "SOURCE_ALPHABET", "TARGET_ALPHABET", "DateTask"]

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")

FORMATS: dict[str, Callable[[datetime.date], str]] = {
    "3 March 2021": lambda d: f"{d.day} {_month(d)} {d.year}",
    "3 Mar 2021": lambda d: f"{d.day} {_month(d)[:3]} {d.year}",
    "03-Mar-2021": lambda d: f"{d.day:02}-{_month(d)[:3]}-{d.year}",
    "03MAR2021": lambda d: f"{d.day:02}{_month(d)[:3].upper()}{d.year}",
    "March 3, 2021": lambda d: f"{_month(d)} {d.day}, {d.year}",
    "Mar. 3, 2021": lambda d: f"{_month(d)[:3]}. {d.day}, {d.year}",
    "March 3rd, 2021": lambda d: f"{_month(d)} {_ordinal(d.day)}, {d.year}",
    "3rd of March 2021": lambda d: f"{_ordinal(d.day)} of {_month(d)} {d.year}",
    "the 3rd of March, 2021": lambda d: f"the {_ordinal(d.day)} of {_month(d)}, {d.year}",
    "Wednesday, 3 March 2021": lambda d: f"{_weekday(d)}, {d.day} {_month(d)} {d.year}",
    "Wednesday, March 3, 2021": lambda d: f"{_weekday(d)}, {_month(d)} {d.day}, {d.year}",
    "Wed, 03 Mar 2021": lambda d: f"{_weekday(d)[:3]}, {d.day:02} {_month(d)[:3]} {d.year}",
    "Wed Mar  3 2021": lambda d: f"{_weekday(d)[:3]} {_month(d)[:3]} {d.day:2} {d.year}",
    "2021 March 3": lambda d: f"{d.year} {_month(d)} {d.day}",
    "3.3.2021": lambda d: f"{d.day}.{d.month}.{d.year}",
    "03.03.2021": lambda d: f"{d.day:02}.{d.month:02}.{d.year}",
    "3. 3. 2021": lambda d: f"{d.day}. {d.month}. {d.year}",
    "3.III.2021": lambda d: f"{d.day}.{ROMAN[d.month - 1]}.{d.year}",
    "3/3/2021": lambda d: f"{d.month}/{d.day}/{d.year}",
    "03/03/2021": lambda d: f"{d.month:02}/{d.day:02}/{d.year}",
    "2021/03/03": lambda d: f"{d.year}/{d.month:02}/{d.day:02}",
    "2021-3-3": lambda d: f"{d.year}-{d.month}-{d.day}",
    "2021.03.03": lambda d: f"{d.year}.{d.month:02}.{d.day:02}",
    "20210303": lambda d: f"{d.year}{d.month:02}{d.day:02}",
    "D:20210303": lambda d: f"D:{d.year}{d.month:02}{d.day:02}",
}
"""Date formats, each under its rendering of 3 March 2021: British and American prose, mail (RFC
5322), logs, travel documents, German, Czech, Polish, American, Japanese and Chinese numeric dates,
ISO 8601, PDF."""

_IN_WORDS = "".join((*MONTHS, *WEEKDAYS, *ROMAN, *(month[:3].upper() for month in MONTHS)))
SOURCE_ALPHABET = TaskAlphabet(tuple(sorted({*"0123456789 ,./-:D", *"stndrdthofthe", *_IN_WORDS})))
TARGET_ALPHABET = TaskAlphabet(tuple("0123456789-"))
LENGTHS = range(8, 27)
"""Lengths of source texts in characters, from the shortest date (3.3.2021) to the 99th percentile.
Each length makes up at least about 1 % of all dates."""


@dataclasses.dataclass(frozen=True)
class DateTask:
    """Dates drawn uniformly from the start of `first_year` to the end of `last_year`."""

    first_year: int = 1900
    last_year: int = 2099

    @property
    def source_alphabet(self) -> TaskAlphabet:
        """The characters of all formats."""
        return SOURCE_ALPHABET

    @property
    def target_alphabet(self) -> TaskAlphabet:
        """The characters of ISO 8601: digits and the hyphen."""
        return TARGET_ALPHABET

    def nearest_length(self, length: int) -> int:
        """The closest of `LENGTHS`."""
        return min(max(length, LENGTHS[0]), LENGTHS[-1])

    def pairs(
        self, lengths: Sequence[int], *, seed: int, step: int, split: Split = "train"
    ) -> SequencePairs:
        """One date for each source length, in characters, and its ten characters in ISO 8601.

        At a given length, all combinations of a day and one of the `FORMATS` are equally likely.

        Raises:
            InputError: if a length is not in `LENGTHS`.
        """
        if not all(length in LENGTHS for length in lengths):
            raise InputError(f"lengths: expected {LENGTHS[0]} to {LENGTHS[-1]} characters")
        rng = task_rng(seed, step, split)
        missing = Counter(lengths)
        by_length: dict[int, list[tuple[str, datetime.date]]] = {length: [] for length in missing}
        while missing:
            for text, date in self._draw(rng, count=200):
                if missing[len(text)]:
                    by_length[len(text)].append((text, date))
                    missing[len(text)] -= 1
            missing = +missing  # drops lengths that are complete
        examples = [by_length[length].pop() for length in lengths]
        return SequencePairs(
            [SOURCE_ALPHABET.encode(text) for text, _ in examples],
            [TARGET_ALPHABET.encode(date.isoformat()) for _, date in examples],
        )

    def _draw(self, rng: np.random.Generator, count: int) -> list[tuple[str, datetime.date]]:
        """Texts of any length, with their dates."""
        first = datetime.date(self.first_year, 1, 1).toordinal()
        last = datetime.date(self.last_year, 12, 31).toordinal()
        formats = tuple(FORMATS.values())
        dates = map(datetime.date.fromordinal, rng.integers(first, last + 1, size=count).tolist())
        indices = rng.integers(len(formats), size=count).tolist()
        return [(formats[index](date), date) for index, date in zip(indices, dates, strict=True)]


def _month(date: datetime.date) -> str:
    return MONTHS[date.month - 1]


def _weekday(date: datetime.date) -> str:
    return WEEKDAYS[date.weekday()]


def _ordinal(day: int) -> str:
    """1st, 2nd, 3rd, 4th; 11th, 12th and 13th."""
    suffix = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{suffix}"

"""Dates as people write them, to ISO 8601: a small translation whose order of parts varies.

The forms are of many places and norms, and no text can be read as two dates: numbers alone stand in
one order for each sign between them (day.month.year, month/day/year, year-month-day).
"""

import dataclasses
import datetime
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from bothways.errors import InputError
from bothways.lab.tasks.base import Alphabet, Pairs, Stream, generator

__all__ = ["ALPHABET", "ANSWERS", "FORMS", "LENGTHS", "Dates"]

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")

FORMS: dict[str, Callable[[datetime.date], str]] = {
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
"""Each named by 3 March 2021 as it writes it: English prose of both kinds, mail (RFC 5322), logs,
travel papers, German, Czech, Polish, American, Japanese and Chinese numbers, ISO 8601, PDF."""

_IN_WORDS = "".join((*MONTHS, *WEEKDAYS, *ROMAN, *(month[:3].upper() for month in MONTHS)))
ALPHABET = Alphabet(tuple(sorted({*"0123456789 ,./-:D", *"stndrdthofthe", *_IN_WORDS})))
ANSWERS = Alphabet(tuple("0123456789-"))
LENGTHS = range(8, 27)
"""In characters: of 3.3.2021, and of what all but a hundredth of the dates do not exceed. Of each
there are some in a hundred."""


@dataclasses.dataclass(frozen=True)
class Dates:
    """Every day from the first of `first_year` to the last of `last_year`, each as likely."""

    first_year: int = 1900
    last_year: int = 2099

    @property
    def alphabet(self) -> Alphabet:
        """Of dates as people write them: characters."""
        return ALPHABET

    @property
    def answers(self) -> Alphabet:
        """Of ISO 8601: digits and the hyphen."""
        return ANSWERS

    def nearest_length(self, length: int) -> int:
        """That of `LENGTHS` which is nearest."""
        return min(max(length, LENGTHS[0]), LENGTHS[-1])

    def pairs(
        self, lengths: Sequence[int], *, seed: int, step: int, stream: Stream = "train"
    ) -> Pairs:
        """A date of each of these lengths, in characters, and the ten characters of ISO 8601.

        Of one length, each day in each of its `FORMS` is as likely.

        Raises:
            InputError: for a length that is not in `LENGTHS`.
        """
        if not all(length in LENGTHS for length in lengths):
            raise InputError(f"lengths: expected from {LENGTHS[0]} to {LENGTHS[-1]} characters")
        chance = generator(seed, step, stream)
        missing = Counter(lengths)
        found: dict[int, list[tuple[str, datetime.date]]] = {length: [] for length in missing}
        while missing:
            for text, date in self._draw(chance, count=200):
                if missing[len(text)]:
                    found[len(text)].append((text, date))
                    missing[len(text)] -= 1
            missing = +missing  # without those of which none is missing
        chosen = [found[length].pop() for length in lengths]
        return Pairs(
            [ALPHABET.ids(text) for text, _ in chosen],
            [ANSWERS.ids(date.isoformat()) for _, date in chosen],
        )

    def _draw(self, chance: np.random.Generator, count: int) -> list[tuple[str, datetime.date]]:
        """Days in forms of `FORMS`, of any length."""
        first = datetime.date(self.first_year, 1, 1).toordinal()
        last = datetime.date(self.last_year, 12, 31).toordinal()
        forms = tuple(FORMS.values())
        dates = map(
            datetime.date.fromordinal, chance.integers(first, last + 1, size=count).tolist()
        )
        drawn = chance.integers(len(forms), size=count).tolist()
        return [(forms[form](date), date) for form, date in zip(drawn, dates, strict=True)]


def _month(date: datetime.date) -> str:
    return MONTHS[date.month - 1]


def _weekday(date: datetime.date) -> str:
    return WEEKDAYS[date.weekday()]


def _ordinal(day: int) -> str:
    """1st, 2nd, 3rd, 4th, but 11th, 12th and 13th."""
    ending = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"

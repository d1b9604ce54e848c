"""Dates as people write them, to ISO 8601: a small translation whose order of parts varies.

The forms are of many places and norms, and no text can be read as two dates: numbers alone stand in
one order for each sign between them (day.month.year, month/day/year, year-month-day).
"""

import dataclasses
import datetime
from collections.abc import Callable

from bothways.lab.tasks.examples import Alphabet, Pairs, Stream, generator

__all__ = ["ALPHABET", "ANSWERS", "FORMS", "Dates"]

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


@dataclasses.dataclass(frozen=True)
class Dates:
    """Every day from the first of `first_year` to the last of `last_year`, each as likely."""

    first_year: int = 1900
    last_year: int = 2099

    def pairs(self, count: int, *, seed: int, step: int, stream: Stream = "train") -> Pairs:
        """Dates in forms of `FORMS`, each as likely, and the ten characters of ISO 8601."""
        chance = generator(seed, step, stream)
        first = datetime.date(self.first_year, 1, 1).toordinal()
        last = datetime.date(self.last_year, 12, 31).toordinal()
        forms = tuple(FORMS.values())
        texts, answers = [], []
        for day, form in zip(
            chance.integers(first, last + 1, size=count).tolist(),
            chance.integers(len(forms), size=count).tolist(),
            strict=True,
        ):
            date = datetime.date.fromordinal(day)
            texts.append(ALPHABET.ids(forms[form](date)))
            answers.append(ANSWERS.ids(date.isoformat()))
        return Pairs(texts, answers)


def _month(date: datetime.date) -> str:
    return MONTHS[date.month - 1]


def _weekday(date: datetime.date) -> str:
    return WEEKDAYS[date.weekday()]


def _ordinal(day: int) -> str:
    """1st, 2nd, 3rd, 4th, but 11th, 12th and 13th."""
    ending = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"

import datetime
import re

import pytest

from bothways.errors import InputError
from bothways.lab.tasks.dates import FORMATS, LENGTHS, SOURCE_ALPHABET, TARGET_ALPHABET, DateTask

READ_BY = (
    "%d %B %Y", "%d %b %Y", "%d-%b-%Y", "%d%b%Y", "%B %d, %Y", "%b. %d, %Y", "%d of %B %Y",
    "the %d of %B, %Y", "%A, %d %B %Y", "%A, %B %d, %Y", "%a, %d %b %Y", "%a %b %d %Y", "%Y %B %d",
    "%d.%m.%Y", "%d. %m. %Y", "%m/%d/%Y", "%Y/%m/%d", "%Y-%m-%d", "%Y.%m.%d", "%Y%m%d", "D:%Y%m%d",
)  # fmt: skip
"""By Python's own reader of dates, which knows nothing of how these were written."""
ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"]


def readings(text: str) -> set[datetime.date]:
    """Every date that the text can mean, in any of the formats."""
    text = re.sub(r"(?<=\d)(st|nd|rd|th)\b", "", text)
    text = re.sub(r"\.([IVX]+)\.", lambda match: f".{ROMAN.index(match[1]) + 1}.", text)
    dates = set()
    for form in READ_BY:
        try:
            dates.add(datetime.datetime.strptime(text, form).date())
        except ValueError:
            continue
    return dates


def test_each_text_has_exactly_one_reading_and_it_is_the_target() -> None:
    pairs = DateTask().pairs([*LENGTHS] * 80, seed=0, step=0)
    for source, target in zip(pairs.sources, pairs.targets, strict=True):
        text, answer = (
            "".join(SOURCE_ALPHABET.decode(source)),
            "".join(TARGET_ALPHABET.decode(target)),
        )
        assert readings(text) == {datetime.date.fromisoformat(answer)}, text


def test_weekdays_are_right() -> None:
    """strptime ignores the weekday, so the readings above do not check it."""
    for name, form in FORMATS.items():
        for day in range(1, 32):
            date = datetime.date(2024, 7, day)
            if name.startswith("Wed"):
                assert form(date).startswith(f"{date:%a}")


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_named_by_its_rendering_of_3_march_2021(name: str) -> None:
    assert FORMATS[name](datetime.date(2021, 3, 3)) == name


def test_ordinal_suffixes_are_english() -> None:
    days = [FORMATS["March 3rd, 2021"](datetime.date(2021, 1, day)) for day in range(1, 32)]
    three = ["st", "nd", "rd"]
    endings = [*three, *["th"] * 17, *three, *["th"] * 7, "st"]
    assert days == [f"January {day}{end}, 2021" for day, end in enumerate(endings, start=1)]


def test_the_alphabet_has_exactly_the_characters_of_all_formats() -> None:
    written = set()
    for month in range(1, 13):
        for day in range(1, 29):
            date = datetime.date(2009 + day, month, day)
            written |= {character for form in FORMATS.values() for character in form(date)}
    assert written == set(SOURCE_ALPHABET.symbols)


def test_all_formats_and_years_occur() -> None:
    pairs = DateTask(first_year=2000, last_year=2003).pairs([*LENGTHS] * 20, seed=0, step=0)
    years = {"".join(TARGET_ALPHABET.decode(target))[:4] for target in pairs.targets}
    assert years == {"2000", "2001", "2002", "2003"}
    shapes = {
        re.sub(r"[A-Za-z]+", "a", re.sub(r"\d+", "0", "".join(SOURCE_ALPHABET.decode(source))))
        for source in pairs.sources
    }
    assert len(shapes) >= 15  # some formats only differ in length


def test_a_sample_is_a_function_of_seed_and_step() -> None:
    def spelled(seed: int, step: int) -> list[list[int]]:
        return [
            source.tolist() for source in DateTask().pairs([10] * 5, seed=seed, step=step).sources
        ]

    assert spelled(0, 0) == spelled(0, 0)
    assert spelled(0, 0) != spelled(0, 1)
    assert spelled(0, 0) != spelled(1, 0)


def test_texts_have_the_requested_lengths_in_order() -> None:
    lengths = [26, 8, 8, 13, 26]
    pairs = DateTask().pairs(lengths, seed=0, step=0)
    assert [len(source) for source in pairs.sources] == lengths
    assert all(len(target) == 10 for target in pairs.targets)


@pytest.mark.parametrize("length", [7, 27])
def test_lengths_that_hardly_any_date_has_raise(length: int) -> None:
    with pytest.raises(InputError, match="expected 8 to 26"):
        DateTask().pairs([length], seed=0, step=0)
    assert DateTask().nearest_length(length) in (8, 26)

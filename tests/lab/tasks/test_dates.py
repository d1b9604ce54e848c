import datetime
import re

import pytest

from bothways.errors import InputError
from bothways.lab.tasks.dates import ALPHABET, ANSWERS, FORMS, LENGTHS, Dates

READ_BY = (
    "%d %B %Y", "%d %b %Y", "%d-%b-%Y", "%d%b%Y", "%B %d, %Y", "%b. %d, %Y", "%d of %B %Y",
    "the %d of %B, %Y", "%A, %d %B %Y", "%A, %B %d, %Y", "%a, %d %b %Y", "%a %b %d %Y", "%Y %B %d",
    "%d.%m.%Y", "%d. %m. %Y", "%m/%d/%Y", "%Y/%m/%d", "%Y-%m-%d", "%Y.%m.%d", "%Y%m%d", "D:%Y%m%d",
)  # fmt: skip
"""By Python's own reader of dates, which knows nothing of how these were written."""
ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"]


def readings(text: str) -> set[datetime.date]:
    """Every date that the text may be, by any of the forms."""
    text = re.sub(r"(?<=\d)(st|nd|rd|th)\b", "", text)
    text = re.sub(r"\.([IVX]+)\.", lambda match: f".{ROMAN.index(match[1]) + 1}.", text)
    found = set()
    for form in READ_BY:
        try:
            found.add(datetime.datetime.strptime(text, form).date())
        except ValueError:
            continue
    return found


def test_each_text_can_be_read_as_its_answer_and_as_no_other_date() -> None:
    pairs = Dates().pairs([*LENGTHS] * 80, seed=0, step=0)
    for source, target in zip(pairs.sources, pairs.targets, strict=True):
        text, answer = "".join(ALPHABET.spell(source)), "".join(ANSWERS.spell(target))
        assert readings(text) == {datetime.date.fromisoformat(answer)}, text


def test_weekdays_are_right() -> None:
    """strptime takes any weekday."""
    for name, form in FORMS.items():
        for day in range(1, 32):
            date = datetime.date(2024, 7, day)
            if name.startswith("Wed"):
                assert form(date).startswith(f"{date:%a}")


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_named_by_what_it_writes(name: str) -> None:
    assert FORMS[name](datetime.date(2021, 3, 3)) == name


def test_endings_of_ordinals_are_english() -> None:
    days = [FORMS["March 3rd, 2021"](datetime.date(2021, 1, day)) for day in range(1, 32)]
    three = ["st", "nd", "rd"]
    endings = [*three, *["th"] * 17, *three, *["th"] * 7, "st"]
    assert days == [f"January {day}{end}, 2021" for day, end in enumerate(endings, start=1)]


def test_all_characters_of_all_forms_are_in_the_alphabet_and_no_others() -> None:
    written = set()
    for month in range(1, 13):
        for day in range(1, 29):
            date = datetime.date(2009 + day, month, day)
            written |= {character for form in FORMS.values() for character in form(date)}
    assert written == set(ALPHABET.symbols)


def test_all_forms_and_years_are_drawn() -> None:
    pairs = Dates(first_year=2000, last_year=2003).pairs([*LENGTHS] * 20, seed=0, step=0)
    years = {"".join(ANSWERS.spell(target))[:4] for target in pairs.targets}
    assert years == {"2000", "2001", "2002", "2003"}
    shapes = {
        re.sub(r"[A-Za-z]+", "a", re.sub(r"\d+", "0", "".join(ALPHABET.spell(source))))
        for source in pairs.sources
    }
    assert len(shapes) >= 15  # some forms differ in nothing but lengths


def test_a_sample_is_a_function_of_seed_step_and_stream() -> None:
    def spelled(seed: int, step: int) -> list[list[int]]:
        return [source.tolist() for source in Dates().pairs([10] * 5, seed=seed, step=step).sources]

    assert spelled(0, 0) == spelled(0, 0)
    assert spelled(0, 0) != spelled(0, 1)
    assert spelled(0, 0) != spelled(1, 0)


def test_texts_have_the_lengths_that_are_asked_for_in_their_order() -> None:
    lengths = [26, 8, 8, 13, 26]
    pairs = Dates().pairs(lengths, seed=0, step=0)
    assert [len(source) for source in pairs.sources] == lengths
    assert all(len(target) == 10 for target in pairs.targets)


@pytest.mark.parametrize("length", [7, 27])
def test_lengths_that_hardly_any_date_has_are_refused(length: int) -> None:
    with pytest.raises(InputError, match="from 8 to 26"):
        Dates().pairs([length], seed=0, step=0)
    assert Dates().nearest_length(length) in (8, 26)

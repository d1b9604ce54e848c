"""Messages of errors: of a limited length, whatever they quote."""

import pickle
import re

import pytest

from bothways import errors
from bothways.errors import LONGEST_MESSAGE, BothwaysError, DataFileError, InputError, MissingExtra

ERRORS = [
    error
    for name, error in vars(errors).items()
    if name in errors.__all__ and issubclass(error, BothwaysError) and error is not MissingExtra
]


@pytest.mark.parametrize("error", ERRORS)
def test_the_middle_of_a_long_message_is_left_out(error: type[BothwaysError]) -> None:
    message = f"rows.csv, row 3: {'x' * 20_000}; expected a number"
    shown = str(error(message))
    assert len(shown) <= LONGEST_MESSAGE
    assert shown.startswith("rows.csv, row 3: xxx")
    assert shown.endswith("xxx; expected a number")
    assert re.search(r"x \[\.\.\. 18,6\d\d characters \.\.\.\] x", shown)
    assert str(error(message[:300])) == message[:300]


def test_a_detail_with_its_place_stays_short() -> None:
    error = InputError("y" * 5000 + " is unknown", sequence=3)
    assert str(error).startswith("sequence 3: yyy")
    assert len(str(InputError(f"rows.txt, line 4: {error.detail}"))) <= LONGEST_MESSAGE


def test_other_arguments_and_pickles_stay_as_they_are() -> None:
    assert DataFileError(2, "missing").errno == 2
    again = pickle.loads(pickle.dumps(DataFileError("z" * 2000)))  # noqa: S301
    assert str(again) == str(DataFileError("z" * 2000))

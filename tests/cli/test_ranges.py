import pytest

from bothways.cli.ranges import Ranges
from bothways.errors import InputError


def test_ranges_are_numbers_and_spans() -> None:
    ranges = Ranges.parse("2-4,9,1", "--rows")
    assert [number for number in range(12) if number in ranges] == [1, 2, 3, 4, 9]
    assert ranges.last == 9
    assert str(ranges) == "2-4,9,1"


@pytest.mark.parametrize("text", ["", "0", "a", "1-", "-3", "1,,2", "1 - 2", "01", "9" * 12])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=f"--rows {text}: expected numbers from 1"):
        Ranges.parse(text, "--rows")


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(InputError, match="--rows 5-2: ends before it begins"):
        Ranges.parse("1,5-2", "--rows")


def test_numbers_beyond_the_last_are_refused() -> None:
    assert Ranges.parse("1,3-4", "--layers").up_to(4, "--layers", "layers") == [1, 3, 4]
    with pytest.raises(InputError, match="--layers 1,3-4: there are 3 layers"):
        Ranges.parse("1,3-4", "--layers").up_to(3, "--layers", "layers")

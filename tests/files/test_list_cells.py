"""Lists in cells of tables, as pandas and NumPy print them."""

from typing import Any

import numpy as np
import pytest

from bothways.errors import DataFileError
from bothways.files.list_cells import list_cell, parse_list
from bothways.files.rows import Place
from bothways.files.values import parse_value

PLACE = Place("x.csv", 2, 3, "tags")


@pytest.mark.parametrize(
    "items",
    [
        [], ["B-PER", "O"], ["it's", 'a "b"', "c\\d", "e\nf", "]", "é"], [1, -2, 30], [0.5, -1e-8],
        [True, None, False], [[1, 2], [3, 4]], [["a"], []], ["a"],
    ],
)  # fmt: skip
def test_a_printed_list_is_the_list(items: list[Any]) -> None:
    assert parse_list(str(items)) == items


def test_a_printed_array_is_the_list_too() -> None:
    assert parse_list(str(np.array(["B-PER", "O"], dtype=object))) == ["B-PER", "O"]
    assert parse_list(str(np.arange(40))) == list(range(40))
    assert parse_list(str(np.array([[0.5, 1], [2, 3]]))) == [[0.5, 1], [2, 3]]
    assert parse_list(str([np.str_("a"), np.int64(3)])) == ["a", 3]
    assert parse_list("['a' 'b']") == ["a", "b"]  # Python would join the two


def test_json_is_read_as_json() -> None:
    assert parse_list('["a\\/b", true, null]') == ["a/b", True, None]


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "[", "[1", "1]", "[1] [2]", "[a, b]", "['a', b]", "[1 2 ... 8 9]", "['a'", "[1)]",
        "[__import__('os')]", "[{'a': 1}]", "[1.2.3]", "[(1, 2)]", "[" * 9000 + "]" * 9000, "{}",
        "['\\x']", "[0, 1],", "]['a'",
    ],
)  # fmt: skip
def test_anything_else_is_not_a_list(text: str) -> None:
    assert parse_list(text) is None


def test_a_cell_that_begins_like_a_list_must_be_one() -> None:
    for text in ("['B-PER', O]", "[0 1 2 ... 8 9]"):
        with pytest.raises(DataFileError, match=r"x\.csv, row 2 \(line 3\), column 'tags'"):
            list_cell(text, PLACE)


@pytest.mark.parametrize("text", ["[unknown]", "a ['b']", "[see 1]", "[2H]O[2H] and", "['a'] b"])
def test_a_text_with_brackets_stays_a_text(text: str) -> None:
    assert list_cell(text, PLACE) is None


def test_smiles_of_isotopes_stay_symbols() -> None:
    assert parse_value("[2H]O[2H]", "symbols", PLACE) == "[2H]O[2H]"
    assert parse_value("['C', 'O']", "symbols", PLACE) == ["C", "O"]


def test_a_printed_series_is_a_series() -> None:
    assert parse_value("[[0.5, 1], [2, 3]]", "series", PLACE).tolist() == [[0.5, 1], [2, 3]]
    assert parse_value("[0.5 1.\n 2.]", "series", PLACE).tolist() == [[0.5], [1], [2]]

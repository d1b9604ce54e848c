"""Classes, tags and numbers as files hold them."""

import math
from typing import Any

import pytest

from bothways.errors import DataFileError
from bothways.files.rows import Place
from bothways.training.data.labels import (
    label_order,
    parse_classes,
    parse_number,
    parse_tags,
    type_of_label,
)

PLACE = Place("x.csv", 3, 4, "y")


@pytest.mark.parametrize(
    ("value", "separator", "classes"),
    [
        (" a b ", None, "a b"),
        (3, None, "3"),
        (True, None, "true"),
        (["a", 1], None, ("a", "1")),
        ([], None, ()),
        ('["a", "b"]', None, ("a", "b")),
        ("['a', 'b']", None, ("a", "b")),
        ("['a', 'b']", ",", ("a", "b")),
        ("[]", ";", ()),
        ("[unknown]", None, "[unknown]"),
        ("a; b;", ";", ("a", "b")),
        ("", ";", ()),
    ],
)
def test_classes_are_texts(value: Any, separator: str | None, classes: Any) -> None:
    assert parse_classes(value, separator, PLACE) == classes


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, r"x\.csv, row 3 \(line 4\), column 'y': the label is missing; add one, or remove"),
        (" ", "the label is missing"),
        (math.nan, "the label is missing"),
        ([None], "the label is missing"),
        (2.5, "found the number 2.5; to predict numbers, use: bothways train regress"),
        ({"a": 1}, "found an object"),
        (["a", "a"], "duplicate label 'a'"),
    ],
)
def test_an_invalid_class_is_an_error_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        parse_classes(value, None, PLACE)


def test_tags_are_a_list_or_separated_by_spaces() -> None:
    assert parse_tags(["N", 3], "text", PLACE) == ["N", "3"]
    assert parse_tags("N V  N", "text", PLACE) == ["N", "V", "N"]
    assert parse_tags("HHE", "text", PLACE) == ["HHE"]
    assert parse_tags("HHE", "symbols", PLACE) == ["H", "H", "E"]
    assert parse_tags("H H E", "symbols", PLACE) == ["H", "H", "E"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "expected a list of tags, found null"),
        ("", "found nothing"),
        ([""], "the label is missing"),
    ],
)
def test_an_invalid_list_of_tags_is_an_error(value: Any, message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        parse_tags(value, "text", PLACE)


@pytest.mark.parametrize(("value", "number"), [("1e3", 1000.0), (" -2 ", -2.0), (3, 3.0)])
def test_numbers_are_read(value: Any, number: float) -> None:
    assert parse_number(value, PLACE) == number


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "the label is missing"),
        (None, "the label is missing"),
        (math.nan, "the label is missing"),
        ("nan", "expected a finite number, found the text 'nan'; correct it, or remove the row"),
        ("inf", "found the text 'inf'"),
        ("1,5", "found the text '1,5'"),
        ("1_000", "found the text '1_000'"),
        ("high", "found the text 'high'"),
        (True, "found true"),
        ([1.0], "found a list of 1"),
    ],
)
def test_an_invalid_number_is_an_error(value: Any, message: str) -> None:
    with pytest.raises(DataFileError, match=message):
        parse_number(value, PLACE)


def test_types_of_labels_are_distinguished() -> None:
    kinds = [type_of_label(value) for value in ("1", 1, True, [1])]
    assert len(set(kinds)) == 4


def test_labels_are_sorted_and_numbers_by_value() -> None:
    assert label_order(["b", "B", "a"]) == ("B", "a", "b")
    assert label_order(["10", "9", "-1"]) == ("-1", "9", "10")
    assert label_order(["10", "9", "x"]) == ("10", "9", "x")


def test_the_label_order_of_a_head_is_kept_if_it_has_all_labels() -> None:
    assert label_order(["a", "b"], ("b", "c", "a")) == ("b", "c", "a")
    assert label_order(["a", "d"], ("b", "c", "a")) == ("a", "d")

"""Tokenized sequences, and the difference between one sequence and several."""

from typing import Any

import numpy as np
import pytest

from bothways.sequences import Tokenized, is_single_sequence
from bothways.sequences.reader import Description, type_name


def test_tokens_and_offsets_are_computed_once_on_first_use() -> None:
    calls = []

    def describe() -> Description:
        calls.append(1)
        return Description(["a", "b"], np.array([[0, 1], [1, 2]]))

    tokenized = Tokenized(np.array([5, 6]), describe)
    assert len(tokenized) == 2
    assert not calls
    assert tokenized.tokens == ["a", "b"]
    assert tokenized.offsets is not None
    assert tokenized.tokens is tokenized.tokens
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("value", "single"),
    [
        ("a text", True),
        ("", True),
        (np.array([1, 2]), True),
        (np.zeros((3, 2)), True),
        (["a text"], False),
        ([1, 2], False),
        (("a", "b"), True),
        (("a", "b", "c"), False),
        ((1, 2), False),
        (np.array([[1, 2], [3, 4]]), False),
        (np.zeros((4, 3, 2)), False),
        (np.zeros(3), False),
        ([], False),
        (None, False),
    ],
)
def test_a_string_or_an_array_of_one_sequence_is_a_single_sequence(
    value: Any, single: bool
) -> None:
    assert is_single_sequence(value) is single


def test_type_names_describe_values() -> None:
    assert type_name(None) == "None"
    assert type_name(3.0) == "float"
    assert type_name(np.zeros((3, 2))) == "float64 array of shape (3, 2)"

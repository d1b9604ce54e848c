"""Sequences of ids: used unchanged, or refused with position, id and limit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways.errors import InputError
from bothways.sequences import are_ids, read_ids


@settings(deadline=None)
@given(st.lists(st.integers(0, 99), min_size=1, max_size=20))
def test_ids_are_used_unchanged(ids: list[int]) -> None:
    for sequence in (ids, tuple(ids), np.array(ids), np.array(ids, dtype=np.uint8)):
        (tokenized,) = read_ids([sequence], 100)
        assert tokenized.values.tolist() == ids
        assert tokenized.values.dtype == np.int64
        assert tokenized.tokens == [str(value) for value in ids]
        assert (tokenized.prefix, tokenized.suffix, tokenized.offsets) == (0, 0, None)


def test_ids_of_several_sequences_may_be_a_matrix() -> None:
    read = read_ids(np.arange(6).reshape(2, 3), 10)
    assert [tokenized.values.tolist() for tokenized in read] == [[0, 1, 2], [3, 4, 5]]


def test_ids_are_copied_from_the_array() -> None:
    ids = np.array([1, 2, 3])
    (tokenized,) = read_ids([ids], 10)
    ids[:] = 9
    assert tokenized.values.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("sequence", "named"),
    [
        ([1, 10, 2], "position 1: id 10; expected at least 0 and below vocab_size=10"),
        (np.array([1, 2, -1]), "position 2: id -1; expected at least 0"),
        (np.array([1, 2**63], dtype=np.uint64), f"position 1: id {2**63}"),
        ([1, 2**70], "contains an id of more than 64 bits"),
        ([], "no ids"),
        (np.array([], dtype=np.int64), "no ids"),
        ([1.0, 2.0], "position 0 is float; expected a list of ids"),
        ([1, None], "position 1 is None"),
        ([1, True], "position 1 is bool"),
        ([1, np.True_], "position 1 is bool"),
        ([1, "2"], "position 1 is str"),
        ([[1, 2], [3, 4]], "position 0 is list"),
        (np.array([1.0, 2.0]), r"got float64 array of shape \(2,\)"),
        (np.array([True]), "got bool array"),
        (np.array([[1, 2]]), r"got int64 array of shape \(1, 2\)"),
        (np.array(3), r"got int64 array of shape \(\)"),
        (np.array(["a"]), "got <U1 array"),
        (np.array([None]), "got object array"),
    ],
)
def test_a_value_that_is_not_an_id_is_refused_with_its_position(sequence: Any, named: str) -> None:
    with pytest.raises(InputError, match=f"^sequence 1: {named}") as error:
        read_ids([[1], sequence], 10)
    assert error.value.sequence == 1


def test_arrays_are_ids_and_lists_of_strings_are_not() -> None:
    assert all(map(are_ids, ([1, 2], (1,), [], [None], [1.5], np.array([1]), np.array([0.5]))))
    assert not any(map(are_ids, ("text", ["a"], ("a", "b"), None, 3, b"a", {"a": 1})))


def test_a_masked_id_is_refused_with_its_place() -> None:
    masked: Any = np.ma.array([1, 2, 3], mask=[False, False, True])
    with pytest.raises(InputError, match="sequence 1: position 2 is masked"):
        read_ids([[1, 2], masked], 9)

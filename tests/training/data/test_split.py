"""What is held out: a share of each class, and no sequence on both sides."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways.errors import DataFileError
from bothways.training.data.split import MAX_HELD_OUT_ROWS, choose_held_out
from bothways.training.data.survey import Survey


def surveyed(keys: Sequence[int] | np.ndarray, classes: Sequence[int] | None = None) -> Survey:
    array = np.array(keys, dtype=np.uint64)
    return Survey(
        labels=(),
        counts=np.empty(0),
        multilabel=False,
        classes=None if classes is None else np.array(classes, dtype=np.int32),
        keys=array.reshape(len(array), -1),
        longest=1,
        channels=0,
    )


def held_out(survey: Survey, share: float | None = None, seed: int = 0) -> np.ndarray:
    return choose_held_out(survey, fraction=share, seed=seed, name="x.csv")


def test_a_tenth_is_held_out_but_at_most_ten_thousand_rows() -> None:
    assert held_out(surveyed(range(1000))).sum() == 100
    assert held_out(surveyed(range(20 * MAX_HELD_OUT_ROWS))).sum() == MAX_HELD_OUT_ROWS


def test_the_split_depends_only_on_the_seed() -> None:
    survey = surveyed(range(100))
    first = held_out(survey, seed=1)
    assert np.array_equal(held_out(survey, seed=1), first)
    assert not np.array_equal(held_out(survey, seed=2), first)


def test_zero_holds_out_no_row() -> None:
    assert not held_out(surveyed([1, 1]), share=0).any()


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4)), min_size=2, max_size=80).filter(
        lambda rows: len({key for key, _ in rows}) > 1
    ),
    st.floats(0.01, 0.9),
)
def test_rows_of_one_key_stay_together_and_both_sides_have_some(
    rows: list[tuple[int, int]], share: float
) -> None:
    keys, classes = zip(*rows, strict=True)
    for survey in (surveyed(keys), surveyed(keys, classes)):
        chosen = held_out(survey, share)
        assert not set(survey.keys[chosen, 0]) & set(survey.keys[~chosen, 0])
        assert not chosen.all()
    assert held_out(surveyed(keys), share).any()


def test_each_class_has_held_out_and_training_rows() -> None:
    classes = [0] * 100 + [1] * 30 + [2] * 2
    chosen = held_out(surveyed(range(132), classes), share=0.2)
    assert np.bincount(np.array(classes)[chosen]).tolist() == [20, 6, 1]


def test_a_class_of_equal_rows_is_learned_from() -> None:
    chosen = held_out(surveyed([*range(10), 99, 99], [0] * 10 + [1] * 2))
    assert chosen.sum() == 1
    assert not chosen[10:].any()


def test_a_large_group_is_not_held_out_for_a_small_fraction() -> None:
    keys = [0] * 50 + list(range(1, 51))
    for seed in range(10):
        assert 8 <= held_out(surveyed(keys), seed=seed).sum() <= 12


def test_rows_linked_by_anchor_or_positive_stay_together() -> None:
    # 1-2, 2-3, 3-4 are a chain, and 7-8 stands alone.
    keys = np.array([[1, 2], [3, 2], [3, 4], [7, 8]])
    for seed in range(10):
        chosen = held_out(surveyed(keys), share=0.5, seed=seed)
        assert len(set(chosen[:3].tolist())) == 1
        assert chosen[3] != chosen[0]


def test_long_chains_are_one_group() -> None:
    order = np.random.default_rng(0).permutation(1000)
    chain = np.stack([order[:-1], order[1:]], axis=1)
    keys = np.concatenate([chain, [[5000, 5001]]])
    chosen = held_out(surveyed(keys), share=0.5)
    assert chosen.tolist() in ([True] * 999 + [False], [False] * 999 + [True])


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(DataFileError, match=r"x\.csv: all 3 rows have the same sequence or group"):
        held_out(surveyed([4, 4, 4]))

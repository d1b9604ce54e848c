import numpy as np
import pytest

from bothways.training.data.dataset import InputSequence
from bothways.training.objectives.masking import choose_positions, content_positions

SAMPLING = 0.01
"""Of a share of 20,000 positions: more than 3 standard deviations."""


def shares(chosen: np.ndarray, sequence: np.ndarray) -> np.ndarray:
    """The share of each sequence that is chosen."""
    return np.bincount(sequence, weights=chosen) / np.bincount(sequence)


def test_content_is_found_in_each_sequence_of_a_batch() -> None:
    pieces = [
        InputSequence(np.arange(4), None, slice(1, 3)),
        InputSequence(np.arange(2), None, slice(1, 1)),
        InputSequence(np.arange(3), None, slice(None)),
    ]
    positions, sequences = content_positions(pieces)
    assert positions.tolist() == [1, 2, 6, 7, 8]
    assert sequences.tolist() == [0, 0, 2, 2, 2]


@pytest.mark.parametrize("rate", [0.1, 0.15, 0.4, 1.0])
@pytest.mark.parametrize("length", [10, 13, 50])
def test_the_selected_fraction_is_exact_up_to_one_position(rate: float, length: int) -> None:
    sequence = np.repeat(np.arange(20_000 // length), length)
    chosen = choose_positions(
        sequence, np.ones(len(sequence), bool), rate, np.random.default_rng(0)
    )
    assert chosen.mean() == pytest.approx(rate, abs=SAMPLING)
    assert np.abs(shares(chosen, sequence) - rate).max() < 1 / length


def test_every_position_is_selected_equally_often() -> None:
    sequence = np.repeat(np.arange(5000), 10)
    chosen = choose_positions(sequence, np.ones(len(sequence), bool), 0.2, np.random.default_rng(0))
    by_position = chosen.reshape(5000, 10).mean(0)
    assert np.abs(by_position - 0.2).max() < 0.03  # of 5,000: five standard deviations


def test_at_least_one_position_of_a_sequence_is_chosen() -> None:
    sequence = np.repeat([3, 4, 9], [1, 2, 3])
    for seed in range(20):
        chosen = choose_positions(sequence, np.ones(6, bool), 0.01, np.random.default_rng(seed))
        assert np.bincount(sequence, weights=chosen)[[3, 4, 9]].tolist() == [1, 1, 1]


def test_whole_units_are_selected_with_the_right_fraction() -> None:
    rng = np.random.default_rng(0)
    sequence = np.repeat(np.arange(1000), 20)
    begins = rng.random(len(sequence)) < 0.4
    chosen = choose_positions(sequence, begins, 0.3, rng)
    begins |= np.diff(sequence, prepend=-1) != 0
    unit = np.cumsum(begins) - 1
    assert set(shares(chosen, unit)) == {0.0, 1.0}
    assert chosen.mean() == pytest.approx(0.3, abs=SAMPLING)


def test_no_unit_crosses_a_sequence_border() -> None:
    sequence = np.repeat([0, 1], 3)
    begins = np.zeros(6, bool)
    assert choose_positions(sequence, begins, 0.5, np.random.default_rng(0)).all()


def test_no_position_is_selected_from_an_empty_batch() -> None:
    nothing = np.zeros(0, np.int64)
    assert len(choose_positions(nothing, nothing.astype(bool), 0.5, np.random.default_rng(0))) == 0

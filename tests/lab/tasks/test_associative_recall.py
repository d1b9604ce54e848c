import numpy as np
import pytest

from bothways.errors import InputError
from bothways.lab.tasks.associative_recall import AssociativeRecallTask, solve

TASK = AssociativeRecallTask(length=20, num_pairs=4, num_keys=6, num_values=5)
DISTANCES = [4, 16, 7, 7, 5] * 20


def read(vectors: np.ndarray) -> dict[str, tuple[str, int]]:
    """The value and distance of each key, read position by position."""
    pairs = {}
    for position, channels in enumerate(vectors[:-1].tolist()):
        ones = [number for number, value in enumerate(channels) if value == 1]
        assert all(value in (0, 1) for value in channels)
        if ones:
            key, value = ones
            assert key < 6 <= value
            assert f"key {key}" not in pairs
            pairs[f"key {key}"] = f"value {value - 6}", len(vectors) - 1 - position
    return pairs


def test_the_answer_is_the_value_of_the_queried_key_at_the_given_distance() -> None:
    examples = TASK.sample(DISTANCES, seed=0, step=0)
    assert examples.vectors.shape == (len(DISTANCES), 20, 11)
    for vectors, answer, distance in zip(
        examples.vectors, examples.answers, DISTANCES, strict=True
    ):
        pairs = read(vectors)
        assert len(pairs) == 4
        (key,) = np.flatnonzero(vectors[-1])
        assert pairs[f"key {key}"] == (f"value {answer}", distance)
        assert solve(TASK, vectors) == answer


def test_all_positions_keys_and_values_occur() -> None:
    examples = TASK.sample(DISTANCES * 5, seed=0, step=0)
    holds = examples.vectors[:, :-1].sum(axis=(0, 2))
    assert (holds > 0).all()
    assert (examples.vectors.sum(axis=(0, 1)) > 0).all()
    assert np.bincount(examples.answers, minlength=5).min() > 50  # of 500, five values


@pytest.mark.parametrize("distance", [4, 10, 16])
def test_the_number_of_nearer_pairs_does_not_depend_on_the_distance(distance: int) -> None:
    examples = TASK.sample([distance] * 400, seed=0, step=0)
    nearer = examples.vectors[:, 20 - distance : 19].any(axis=2).sum(axis=1)
    counts = np.bincount(nearer, minlength=4)
    assert len(counts) == 4
    assert np.abs(counts - 100).max() < 4 * (400 / 4 * 3 / 4) ** 0.5  # standard deviations


@pytest.mark.parametrize("distance", [4, 10, 16])
def test_the_nearest_value_is_the_answer_equally_often_at_every_distance(distance: int) -> None:
    examples = TASK.sample([distance] * 400, seed=0, step=0)
    right = 0
    for vectors, answer in zip(examples.vectors, examples.answers, strict=True):
        place = np.flatnonzero(vectors[:-1].any(axis=1)).max()
        right += vectors[place, 6 + answer] == 1
    expected = 1 / 4 + 3 / 4 / 5  # it is the queried pair, or has the same value by chance
    assert abs(right / 400 - expected) < 4 * (expected * (1 - expected) / 400) ** 0.5


def test_a_sample_is_a_function_of_seed_and_step() -> None:
    def drawn(seed: int, step: int) -> bytes:
        return TASK.sample(DISTANCES, seed=seed, step=step).vectors.tobytes()

    assert drawn(0, 0) == drawn(0, 0)
    assert drawn(0, 0) != drawn(0, 1)
    assert drawn(0, 0) != drawn(1, 0)


@pytest.mark.parametrize("distance", [3, 17])
def test_a_distance_outside_the_sequence_raises(distance: int) -> None:
    with pytest.raises(InputError, match="expected 4 to 16"):
        TASK.sample([8, distance], seed=0, step=0)


def test_more_pairs_than_keys_or_positions_raise() -> None:
    with pytest.raises(InputError, match="num_pairs=7"):
        AssociativeRecallTask(num_pairs=7, num_keys=6)
    with pytest.raises(InputError, match="num_pairs=3"):
        AssociativeRecallTask(length=5, num_pairs=3)

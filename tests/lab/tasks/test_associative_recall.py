import numpy as np
import pytest

from bothways.errors import InputError
from bothways.lab.tasks.associative_recall import Recall, solve

TASK = Recall(length=20, num_pairs=4, num_keys=6, num_values=5)
DISTANCES = [4, 16, 7, 7, 5] * 20


def read(vectors: np.ndarray) -> dict[str, tuple[str, int]]:
    """Value and distance of each key, read position by position, as a person would."""
    found = {}
    for position, channels in enumerate(vectors[:-1].tolist()):
        ones = [number for number, value in enumerate(channels) if value == 1]
        assert all(value in (0, 1) for value in channels)
        if ones:
            key, value = ones
            assert key < 6 <= value
            assert f"key {key}" not in found
            found[f"key {key}"] = f"value {value - 6}", len(vectors) - 1 - position
    return found


def test_the_answer_is_the_value_beside_the_key_that_is_asked_for_at_its_distance() -> None:
    made = TASK.sample(DISTANCES, seed=0, step=0)
    assert made.vectors.shape == (len(DISTANCES), 20, 11)
    for vectors, answer, distance in zip(made.vectors, made.answers, DISTANCES, strict=True):
        pairs = read(vectors)
        assert len(pairs) == 4
        (key,) = np.flatnonzero(vectors[-1])
        assert pairs[f"key {key}"] == (f"value {answer}", distance)
        assert solve(TASK, vectors) == answer


def test_every_place_key_and_value_is_drawn() -> None:
    made = TASK.sample(DISTANCES * 5, seed=0, step=0)
    holds = made.vectors[:, :-1].sum(axis=(0, 2))
    assert (holds > 0).all()
    assert (made.vectors.sum(axis=(0, 1)) > 0).all()
    assert np.bincount(made.answers, minlength=5).min() > 50  # of 500, five values


@pytest.mark.parametrize("distance", [4, 10, 16])
def test_how_many_pairs_stand_nearer_says_nothing_of_the_distance(distance: int) -> None:
    made = TASK.sample([distance] * 400, seed=0, step=0)
    nearer = made.vectors[:, 20 - distance : 19].any(axis=2).sum(axis=1)
    counts = np.bincount(nearer, minlength=4)
    assert len(counts) == 4
    assert np.abs(counts - 100).max() < 4 * (400 / 4 * 3 / 4) ** 0.5  # standard deviations


@pytest.mark.parametrize("distance", [4, 10, 16])
def test_the_nearest_value_is_as_often_the_answer_at_every_distance(distance: int) -> None:
    made = TASK.sample([distance] * 400, seed=0, step=0)
    right = 0
    for vectors, answer in zip(made.vectors, made.answers, strict=True):
        place = np.flatnonzero(vectors[:-1].any(axis=1)).max()
        right += vectors[place, 6 + answer] == 1
    expected = 1 / 4 + 3 / 4 / 5  # it is the one that is asked for, or has its value by chance
    assert abs(right / 400 - expected) < 4 * (expected * (1 - expected) / 400) ** 0.5


def test_a_sample_is_a_function_of_seed_step_and_stream() -> None:
    def drawn(seed: int, step: int) -> bytes:
        return TASK.sample(DISTANCES, seed=seed, step=step).vectors.tobytes()

    assert drawn(0, 0) == drawn(0, 0)
    assert drawn(0, 0) != drawn(0, 1)
    assert drawn(0, 0) != drawn(1, 0)


@pytest.mark.parametrize("distance", [3, 17])
def test_a_distance_outside_the_sequence_is_refused(distance: int) -> None:
    with pytest.raises(InputError, match="from 4 to 16"):
        TASK.sample([8, distance], seed=0, step=0)


def test_more_pairs_than_keys_are_refused() -> None:
    with pytest.raises(InputError, match="num_pairs=7"):
        Recall(num_pairs=7, num_keys=6)
    with pytest.raises(InputError, match="num_pairs=3"):
        Recall(length=5, num_pairs=3)

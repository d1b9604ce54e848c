import itertools

from bothways.lab.tasks.base import Split, TaskAlphabet, task_rng


def test_each_seed_step_and_split_has_its_own_random_numbers() -> None:
    splits: tuple[Split, ...] = ("train", "validation", "test")
    places = list(itertools.product((0, 1), (0, 1), splits))
    drawn = [tuple(task_rng(*place).integers(1000, size=8).tolist()) for place in places]
    assert len(set(drawn)) == len(places)
    assert drawn == [tuple(task_rng(*place).integers(1000, size=8).tolist()) for place in places]


def test_encode_and_decode_are_inverses() -> None:
    alphabet = TaskAlphabet(("x", "yy", "z"))
    assert alphabet.encode(["z", "x", "yy"]).tolist() == [2, 0, 1]
    assert alphabet.decode([2, 0, 1]) == ["z", "x", "yy"]
    assert len(alphabet) == 3

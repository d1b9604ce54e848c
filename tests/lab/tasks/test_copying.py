import numpy as np
import pytest

from bothways.lab.tasks.copying import Copying, Order


@pytest.mark.parametrize("order", ["copy", "reverse"])
def test_answers_are_what_a_list_gives_forwards_or_backwards(order: Order) -> None:
    task = Copying(order)
    pairs = task.pairs([5, 1, 12], seed=0, step=3)
    for source, target in zip(pairs.sources, pairs.targets, strict=True):
        said = task.alphabet.spell(source)
        expected = list(reversed(said)) if order == "reverse" else said
        assert task.alphabet.spell(target) == expected


def test_lengths_are_those_asked_for_and_all_symbols_occur() -> None:
    pairs = Copying("copy", num_symbols=4).pairs([7, 400, 9], seed=0, step=0)
    assert [len(source) for source in pairs.sources] == [7, 400, 9]
    shares = np.bincount(np.concatenate(pairs.sources)) / 416
    assert len(shares) == 4
    assert np.allclose(shares, 0.25, atol=0.08)  # four standard deviations of 416 draws


def test_a_sample_is_a_function_of_seed_step_and_stream() -> None:
    task = Copying("reverse")
    first = task.pairs([20], seed=1, step=2).sources[0].tolist()
    assert task.pairs([20], seed=1, step=2).sources[0].tolist() == first
    assert task.pairs([20], seed=2, step=2).sources[0].tolist() != first
    assert task.pairs([20], seed=1, step=3).sources[0].tolist() != first
    assert task.pairs([20], seed=1, step=2, stream="test").sources[0].tolist() != first

import numpy as np
import pytest

from bothways.lab.tasks.copying import CopyOrder, CopyTask


@pytest.mark.parametrize("order", ["copy", "reverse"])
def test_targets_are_the_source_forwards_or_backwards(order: CopyOrder) -> None:
    task = CopyTask(order)
    pairs = task.pairs([5, 1, 12], seed=0, step=3)
    for source, target in zip(pairs.sources, pairs.targets, strict=True):
        symbols = task.source_alphabet.decode(source)
        expected = list(reversed(symbols)) if order == "reverse" else symbols
        assert task.source_alphabet.decode(target) == expected


def test_lengths_are_as_requested_and_symbols_are_uniform() -> None:
    pairs = CopyTask("copy", num_symbols=4).pairs([7, 400, 9], seed=0, step=0)
    assert [len(source) for source in pairs.sources] == [7, 400, 9]
    frequencies = np.bincount(np.concatenate(pairs.sources)) / 416
    assert len(frequencies) == 4
    assert np.allclose(frequencies, 0.25, atol=0.08)  # four standard deviations of 416 draws


def test_a_sample_is_a_function_of_seed_step_and_split() -> None:
    task = CopyTask("reverse")
    first = task.pairs([20], seed=1, step=2).sources[0].tolist()
    assert task.pairs([20], seed=1, step=2).sources[0].tolist() == first
    assert task.pairs([20], seed=2, step=2).sources[0].tolist() != first
    assert task.pairs([20], seed=1, step=3).sources[0].tolist() != first
    assert task.pairs([20], seed=1, step=2, split="test").sources[0].tolist() != first

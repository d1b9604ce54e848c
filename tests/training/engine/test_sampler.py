import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.training.engine.sampler import StepSampler, assign_batches
from bothways.training.resolved_settings import steps_per_epoch


def make_order(lengths: list[int], **changed: int) -> StepSampler:
    settings = {"batch_tokens": 100, "micro_tokens": 40, "seed": 0} | changed
    return StepSampler(np.array(lengths, dtype=np.int64), **settings)


def epoch(order: StepSampler, number: int) -> np.ndarray:
    first = number * order.steps_per_epoch
    return np.concatenate([order.examples(first + i) for i in range(order.steps_per_epoch)])


@given(st.lists(st.integers(1, 300), min_size=1, max_size=60), st.integers(1, 500))
def test_every_example_occurs_once_per_epoch_and_no_step_is_empty(
    lengths: list[int], batch_tokens: int
) -> None:
    order = make_order(lengths, batch_tokens=batch_tokens)
    steps = [order.examples(step) for step in range(order.steps_per_epoch)]
    assert all(len(examples) for examples in steps)
    assert sorted(np.concatenate(steps).tolist()) == list(range(len(lengths)))


@given(st.lists(st.integers(1, 300), min_size=1, max_size=60), st.integers(1, 500))
def test_steps_have_about_batch_tokens_tokens(lengths: list[int], batch_tokens: int) -> None:
    order = make_order(lengths, batch_tokens=batch_tokens)
    share_of_each = sum(lengths) / order.steps_per_epoch
    assert share_of_each <= max(batch_tokens, 2 * max(lengths))
    for step in range(order.steps_per_epoch):
        tokens = order.lengths[order.examples(step)].sum()
        assert abs(tokens - share_of_each) < max(lengths)


def test_each_epoch_has_its_own_order() -> None:
    order = make_order([5] * 100)
    first, second = epoch(order, 0), epoch(order, 1)
    assert not np.array_equal(first, np.arange(100))
    assert not np.array_equal(first, second)


def test_the_order_depends_only_on_the_seed() -> None:
    lengths = np.random.default_rng(0).integers(1, 20, 200).tolist()
    forward, backward = make_order(lengths), make_order(lengths)
    steps = range(5 * forward.steps_per_epoch)
    ahead = [forward.batches(step) for step in steps]
    behind = [backward.batches(step) for step in reversed(steps)]
    for batches, others in zip(ahead, reversed(behind), strict=True):
        assert [batch.tolist() for batch in batches] == [batch.tolist() for batch in others]
    assert epoch(make_order(lengths, seed=1), 0).tolist() != epoch(forward, 0).tolist()


def test_the_batches_of_a_step_split_its_examples_within_the_limit() -> None:
    lengths = np.random.default_rng(0).integers(1, 20, 200).tolist()
    order = make_order(lengths)
    batches = order.batches(3)
    assert len(batches) > 1
    assert sorted(np.concatenate(batches)) == sorted(order.examples(3))
    assert all(order.lengths[batch].sum() <= 40 for batch in batches)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_processes_share_batches_without_gap_or_overlap(size: int) -> None:
    batches = [np.array([number]) for number in range(5)]
    shares = [assign_batches(batches, rank, size) for rank in range(size)]
    dealt = sorted((number, int(batch[0])) for mine in shares for number, batch in mine)
    assert dealt == [(number, number) for number in range(5)]
    sizes = [len(mine) for mine in shares]
    assert max(sizes) - min(sizes) <= 1


def test_an_example_longer_than_a_step_makes_a_step_of_its_own() -> None:
    assert steps_per_epoch(np.array([1000, 1000, 1000]), 100) == 3
    order = make_order([1000, 1000, 1000])
    assert [len(order.examples(step)) for step in range(3)] == [1, 1, 1]

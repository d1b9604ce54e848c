import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways.errors import InputError
from bothways.model.config import EncoderConfig
from bothways.model.packing import (
    PackedBatch,
    check_batch,
    check_skip,
    plan_batches,
)

SIZES: dict[str, Any] = {"num_layers": 1, "num_heads": 1, "d_model": 8, "d_ff": 32, "max_length": 6}
TOKENS = EncoderConfig(**SIZES, vocab_size=10, num_segments=2)
SERIES = EncoderConfig(**SIZES, input="vectors", num_channels=2)


def test_sequences_are_packed_end_to_end() -> None:
    batch = PackedBatch.of([np.array([1, 2, 3]), np.array([4]), np.array([5, 6])])
    assert batch.values.tolist() == [1, 2, 3, 4, 5, 6]
    assert batch.values.dtype == np.int64
    assert batch.lengths.tolist() == [3, 1, 2]
    assert batch.starts.tolist() == [0, 3, 4]
    assert batch.num_tokens == 6
    assert batch.segments is None
    assert [part.tolist() for part in batch.split(batch.values)] == [[1, 2, 3], [4], [5, 6]]


def test_vectors_are_packed_as_float32() -> None:
    batch = PackedBatch.of([np.zeros((3, 2)), np.ones((1, 2))])
    assert batch.values.shape == (4, 2)
    assert batch.values.dtype == np.float32


def test_sequences_without_segments_are_segment_0_beside_those_with() -> None:
    batch = PackedBatch.of([np.arange(2), np.arange(3)], [None, np.array([0, 1, 1], np.int32)])
    assert batch.segments is not None
    assert batch.segments.tolist() == [0, 0, 0, 1, 1]
    assert batch.segments.dtype == np.int64
    assert PackedBatch.of([np.arange(2)], [None]).segments is None


@pytest.mark.parametrize("sequences", [[], [np.arange(2), np.arange(0)]])
def test_empty_batches_and_sequences_are_refused(sequences: list[np.ndarray]) -> None:
    with pytest.raises(InputError, match="at least one sequence, each of at least one token"):
        PackedBatch.of(sequences)


def _pack(*sequences: Any, segments: Any = None) -> PackedBatch:
    arrays = [np.asarray(sequence) for sequence in sequences]
    return PackedBatch.of(arrays, None if segments is None else [np.asarray(s) for s in segments])


@pytest.mark.parametrize(
    ("config", "batch", "message"),
    [
        (TOKENS, _pack([1] * 7), "a sequence has 7 positions; the encoder takes at most 6"),
        (TOKENS, _pack([[1.0]]), "got vectors (1, 1); the encoder takes token ids"),
        (TOKENS, _pack([0, 9], [3, 4, 10]), "sequence 1, position 2: id 10; expected"),
        (TOKENS, _pack([-1]), "position 0: id -1; expected at least 0 and below vocab_size=10"),
        (
            TOKENS,
            _pack([1, 1], [1], segments=[[0, 1], [2]]),
            "sequence 1, position 0: segment 2; expected at least 0 and below num_segments=2",
        ),
        (SERIES, _pack([1, 2]), "got values of shape (2,); the encoder takes vectors (length, 2)"),
        (SERIES, _pack([[1.0, 2, 3]]), "got values of shape (1, 3)"),
        (SERIES, _pack([[1.0, 2]], [[1, 2], [0, np.nan]]), "sequence 1, position 1: NaN or"),
        (SERIES, _pack([[-np.inf, 2]]), "sequence 0, position 0: NaN or infinity"),
    ],
)
def test_what_the_encoder_cannot_take_is_named(
    config: EncoderConfig, batch: PackedBatch, message: str
) -> None:
    with pytest.raises(InputError) as raised:
        check_batch(batch, config)
    assert message in str(raised.value)


def test_what_the_encoder_can_take_passes() -> None:
    check_batch(_pack([0, 9] * 3, [4], segments=[[0, 1] * 3, [1]]), TOKENS)
    check_batch(_pack([[1e30, -1e30]]), SERIES)


def test_segment_0_is_fine_where_there_are_none() -> None:
    config = EncoderConfig(**SIZES, vocab_size=10)
    check_batch(_pack([1], segments=[[0]]), config)
    with pytest.raises(InputError, match="segment 1"):
        check_batch(_pack([1], segments=[[1]]), config)


def test_each_sequence_must_keep_a_position() -> None:
    batch = _pack([1, 2, 3], [1, 2])
    check_skip(batch, 0)
    check_skip(batch, 1)
    with pytest.raises(InputError, match="sequence 1 of the batch: 2 positions"):
        check_skip(batch, 2)
    with pytest.raises(InputError, match="skip=-1: expected at least 0"):
        check_skip(batch, -1)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.integers(1, 600), max_size=200), st.integers(1, 2000))
def test_batches_hold_every_sequence_once_within_the_budget(
    lengths: list[int], max_tokens: int
) -> None:
    batches = [batch.tolist() for batch in plan_batches(lengths, max_tokens)]
    assert sorted(itertools.chain.from_iterable(batches)) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or sum(lengths[i] for i in batch) <= max_tokens


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.integers(1, 600), max_size=200), st.integers(1, 2000))
def test_batches_come_longest_first_and_none_could_take_the_next(
    lengths: list[int], max_tokens: int
) -> None:
    batches = [batch.tolist() for batch in plan_batches(np.array(lengths, int), max_tokens)]
    in_order = [lengths[i] for batch in batches for i in batch]
    assert in_order == sorted(lengths, reverse=True)
    for batch, following in itertools.pairwise(batches):
        assert sum(lengths[i] for i in [*batch, following[0]]) > max_tokens


def test_equal_lengths_keep_their_order() -> None:
    assert [batch.tolist() for batch in plan_batches([3, 3, 5, 3], 9)] == [[2, 0], [1, 3]]

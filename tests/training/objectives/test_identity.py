import numpy as np
import torch

from bothways.training.data.dataset import InputSequence
from bothways.training.objectives.identity import combine_columns, identify


def piece(values: np.ndarray, segments: np.ndarray | None = None) -> InputSequence:
    return InputSequence(values, segments, slice(None))


def test_equal_sequences_are_alike_and_others_are_not() -> None:
    a, b = np.array([5, 6, 7]), np.array([5, 6, 8])
    zeros, ones = np.zeros(3, np.int64), np.ones(3, np.int64)
    pieces = [piece(a), piece(b), piece(a.copy()), piece(a, zeros), piece(a, ones)]
    keys = combine_columns(torch.from_numpy(identify(pieces))).tolist()
    assert keys[0] == keys[2] == keys[3]
    assert len(set(keys)) == 3


def test_series_are_told_apart_too() -> None:
    values = np.random.default_rng(0).standard_normal((2, 4, 3)).astype(np.float32)
    keys = combine_columns(torch.from_numpy(identify([piece(v) for v in (*values, values[0])])))
    assert keys[0] == keys[2] != keys[1]


def test_many_different_sequences_have_different_identities() -> None:
    pieces = [piece(np.array([index])) for index in range(10_000)]
    found = identify(pieces)
    assert found.dtype == np.float32
    assert (found == found.round()).all()
    assert found.max() < 2**24  # which float32 holds exactly
    assert len(set(combine_columns(torch.from_numpy(found)).tolist())) == 10_000

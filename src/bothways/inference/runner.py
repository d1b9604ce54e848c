"""Fitted sequences through a backend, batch by batch, and their windows merged.

T tokens of a batch; l positions of a window, L of a sequence; D model width.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from bothways.errors import InputError, TruncationWarning
from bothways.inference.backends import Backend
from bothways.model.config import PoolingMode
from bothways.model.packing import DEFAULT_MAX_TOKENS, PackedBatch, plan_batches
from bothways.reference import pool
from bothways.sequences import FittedSequence

__all__ = ["batch_tokens", "hidden_states", "pack", "pooled", "warn_of_truncation"]


def batch_tokens(max_tokens: int | None) -> int:
    """Tokens of one batch, where the caller asks for so many, or for none in particular.

    Raises:
        InputError: if there is no room for any.
    """
    if max_tokens is None:
        return DEFAULT_MAX_TOKENS
    if max_tokens < 1:
        raise InputError(f"max_tokens={max_tokens}: expected at least 1, or None")
    return max_tokens


def pooled(
    backend: Backend,
    fitted: Sequence[FittedSequence],
    modes: Sequence[PoolingMode],
    *,
    skip: int,
    max_tokens: int,
    done: Callable[[int], None],
) -> np.ndarray:
    """Float32 (n, D · modes), in the order given; `done` hears the tokens of each batch.

    The backend pools sequences that are whole; windows are merged before they are pooled.
    """
    vectors = np.empty((len(fitted), backend.config.d_model * len(modes)), dtype=np.float32)
    whole = np.array([i for i, f in enumerate(fitted) if len(f.windows) == 1], dtype=np.int64)
    for batch in plan_batches([fitted[i].num_tokens for i in whole], max_tokens):
        packed = pack([fitted[i] for i in whole[batch]])
        vectors[whole[batch]] = backend.pool(packed, modes, skip=skip)
        done(packed.num_tokens)
    for i, f in enumerate(fitted):
        if len(f.windows) > 1:
            (states_LD,) = f.merge(_windows(backend, f, [backend.config.num_layers], max_tokens))
            vectors[i] = np.concatenate([pool(states_LD, mode, skip=skip) for mode in modes])
            done(f.num_tokens)
    return vectors


def hidden_states(
    backend: Backend, fitted: Sequence[FittedSequence], layers: Sequence[int], *, max_tokens: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Index and hidden states, float32 (layers, L, D), of each sequence, in no certain order."""
    whole = [i for i, f in enumerate(fitted) if len(f.windows) == 1]
    for batch in plan_batches([fitted[i].num_tokens for i in whole], max_tokens):
        packed = pack([fitted[whole[j]] for j in batch])
        states = _split(backend.hidden_states(packed, layers), packed)
        for j, own in zip(batch, states, strict=True):
            yield whole[j], own.copy()  # not a view, which would keep the batch in memory
    for i, f in enumerate(fitted):
        if len(f.windows) > 1:
            yield i, f.merge(_windows(backend, f, layers, max_tokens))


def pack(fitted: Sequence[FittedSequence]) -> PackedBatch:
    """Sequences of one piece each, end to end."""
    return PackedBatch.of([f.windows[0] for f in fitted], [f.segments[0] for f in fitted])


def warn_of_truncation(truncated: np.ndarray, max_length: int, *, stacklevel: int = 3) -> None:
    """Warn if any sequence was cut, with how many were.

    stacklevel: how far up the caller is whom it concerns, counted from here.
    """
    if cut := int(truncated.sum()):
        warnings.warn(
            f"{cut} of {len(truncated)} sequences were longer than {max_length} tokens and were "
            "cut; on_overflow='window' encodes them whole, 'error' refuses them",
            TruncationWarning,
            stacklevel=stacklevel,
        )


def _windows(
    backend: Backend, fitted: FittedSequence, layers: Sequence[int], max_tokens: int
) -> list[np.ndarray]:
    """Hidden states (layers, l, D) of each window of one sequence."""
    states: list[np.ndarray] = []
    per_batch = max(1, max_tokens // len(fitted.windows[0]))
    for first in range(0, len(fitted.windows), per_batch):
        some = slice(first, first + per_batch)
        packed = PackedBatch.of(fitted.windows[some], fitted.segments[some])
        states += _split(backend.hidden_states(packed, layers), packed)
    return states


def _split(states: np.ndarray, packed: PackedBatch) -> list[np.ndarray]:
    """From (layers, T, D) to (layers, length, D) of each sequence."""
    return np.split(states, np.cumsum(packed.lengths)[:-1], axis=1)

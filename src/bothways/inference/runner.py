"""The runner: fitted sequences through a backend in batches, with the windows of each merged.

n sequences; T tokens of a batch; l positions of a window, L of a sequence; D model width; K pooling
modes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from bothways.inference.backends import Backend
from bothways.model.config import PoolingMode
from bothways.model.packing import PackedBatch, plan_batches
from bothways.reference import pool
from bothways.sequences import FittedSequence

__all__ = [
    "hidden_states",
    "num_tokens",
    "pack",
    "pool_sequences",
    "pool_windows",
    "truncated",
]


def pool_sequences(
    backend: Backend,
    fitted: Sequence[FittedSequence],
    modes: Sequence[PoolingMode],
    *,
    skip: int,
    added_ids: np.ndarray | None = None,
    max_tokens: int,
    advance: Callable[[int], None],
) -> np.ndarray:
    """Pooled hidden states, float32 (n, D * K), in the order given, the modes side by side.

    The backend pools sequences of one piece; windows are merged first, and pooled afterwards.

    skip: positions that pooling leaves out, from the first. added_ids: those that `mean_content`
        leaves out; None for none. max_tokens: of a batch.
    advance: called with the number of tokens of each batch when it is done.
    """
    vectors = np.empty((len(fitted), backend.config.d_model * len(modes)), dtype=np.float32)
    whole = np.array([i for i, f in enumerate(fitted) if len(f.windows) == 1], dtype=np.int64)
    lengths = [fitted[i].num_tokens for i in whole.tolist()]
    for batch in plan_batches(lengths, max_tokens):
        indices = whole[batch]
        packed = pack([fitted[i] for i in indices.tolist()], added_ids)
        vectors[indices] = backend.pool(packed, modes, skip=skip)
        advance(packed.num_tokens)
    for i, f in enumerate(fitted):
        if len(f.windows) > 1:
            states = _windows(backend, f, [backend.config.num_layers], max_tokens)
            vectors[i] = pool_windows(f, states, modes, skip=skip, added_ids=added_ids)
            advance(f.num_tokens)
    return vectors


def pool_windows(
    fitted: FittedSequence,
    states: Iterable[np.ndarray],
    modes: Sequence[PoolingMode],
    *,
    skip: int,
    added_ids: np.ndarray | None = None,
) -> np.ndarray:
    """The pooled vector, float32 (D * K,), of one sequence from the last hidden states of its
    windows, (1, l, D) each.
    """
    (states_LD,) = fitted.merge(states)
    content_L = _content(fitted.tokenized.values, added_ids)
    pooled = [pool(states_LD, mode, skip=skip, content_L=content_L) for mode in modes]
    return np.concatenate(pooled)


def hidden_states(
    backend: Backend, fitted: Sequence[FittedSequence], layers: Sequence[int], *, max_tokens: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Index and hidden states, float32 (layers, L, D), of each sequence, in any order."""
    whole = [i for i, f in enumerate(fitted) if len(f.windows) == 1]
    for batch in plan_batches([fitted[i].num_tokens for i in whole], max_tokens):
        packed = pack([fitted[whole[j]] for j in batch])
        states = _split(backend.hidden_states(packed, layers), packed)
        for j, states_of_one in zip(batch, states, strict=True):
            yield whole[j], states_of_one.copy()  # a view would keep the whole batch in memory
    for i, f in enumerate(fitted):
        if len(f.windows) > 1:
            yield i, f.merge(_windows(backend, f, layers, max_tokens))


def pack(fitted: Sequence[FittedSequence], added_ids: np.ndarray | None = None) -> PackedBatch:
    """Sequences of one piece each, end to end; tokens with `added_ids` are not content."""
    values = [f.windows[0] for f in fitted]
    content = None if added_ids is None else [_content(ids, added_ids) for ids in values]
    return PackedBatch.of(values, [f.segments[0] for f in fitted], content)


def num_tokens(fitted: Sequence[FittedSequence]) -> np.ndarray:
    """Tokens of each sequence that are encoded, int64 (n,)."""
    return np.array([f.num_tokens for f in fitted], dtype=np.int64)


def truncated(fitted: Sequence[FittedSequence]) -> np.ndarray:
    """Whether each sequence was cut, bool (n,)."""
    return np.array([f.truncated for f in fitted], dtype=bool)


def _content(ids_L: np.ndarray, added_ids: np.ndarray | None) -> np.ndarray:
    """Whether each token is one of the sequence, and not added to it, bool (L,)."""
    if added_ids is None:
        return np.ones(len(ids_L), dtype=bool)
    return ~np.isin(ids_L, added_ids)


def _windows(
    backend: Backend, fitted: FittedSequence, layers: Sequence[int], max_tokens: int
) -> Iterator[np.ndarray]:
    """Hidden states (layers, l, D) of each window of one sequence, computed batch by batch."""
    per_batch = max(1, max_tokens // len(fitted.windows[0]))
    for first in range(0, len(fitted.windows), per_batch):
        rows = slice(first, first + per_batch)
        packed = PackedBatch.of(fitted.windows[rows], fitted.segments[rows])
        yield from _split(backend.hidden_states(packed, layers), packed)


def _split(states: np.ndarray, packed: PackedBatch) -> list[np.ndarray]:
    """From (layers, T, D) to (layers, length, D) of each sequence."""
    return np.split(states, np.cumsum(packed.lengths)[:-1], axis=1)

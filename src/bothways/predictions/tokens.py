"""Tokens of the vocabulary: what could stand at a mask, and the terms that a text is about.

L positions of a sequence; N of several; D model width; V vocabulary.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from bothways.errors import InputError
from bothways.predictions.results import Filled, Sparse
from bothways.predictions.run import Run
from bothways.reference.heads import term_weights
from bothways.sequences import Fitted

__all__ = ["fill", "sparse"]

_LOGIT_BYTES = 1 << 24
"""Of logits over a vocabulary that are held at a time."""

_LEAST_ROWS = 64
"""Rows of logits at a time, at the least: so many use what is read of the decoder's matrix."""


def fill(run: Run, mask: int, top: int, tokens: Sequence[str]) -> list[list[Filled]]:
    """The `top` tokens for each mask of each sequence.

    mask: the id of the mask token. tokens: the names of the vocabulary.

    Raises:
        InputError: if `top` is not possible, or naming a sequence without a mask.
    """
    if not 1 <= top <= len(tokens):
        raise InputError(f"top={top}: expected 1 to {len(tokens)}")
    masks = [_masks(f, mask, i, tokens[mask]) for i, f in enumerate(run.fitted)]
    states = {i: x_LD[masks[i]] for i, x_LD in run.of_positions()}
    found: list[list[Filled]] = []
    for i, places in enumerate(masks):
        own: list[Filled] = []
        for rows in _few(len(places), len(tokens)):
            share_NV = run.probabilities(run.layers(states[i][rows]))
            for place, share_V in zip(places[rows].tolist(), share_NV, strict=True):
                best = _largest(share_V, top)
                names = [tokens[j] for j in best]
                own.append(Filled(place, names, best, share_V[best], run.fitted[i].truncated))
        found.append(own)
    return found


def sparse(run: Run, tokens: tuple[str, ...]) -> Sparse:
    """The weights of terms of each sequence (SPLADE v2, Formal et al. 2021)."""
    rows: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for group in _groups(run.of_positions(), _rows_at_a_time(len(tokens))):
        for i, largest_V in _largest_logits(run, group, len(tokens)):
            present = np.flatnonzero(largest_V > 0)  # the others weigh nothing
            weights = np.asarray(term_weights(largest_V[None, present]), dtype=np.float32)
            rows[i] = present.astype(np.int32), weights
    in_order = [rows[i] for i in range(len(run.fitted))]
    empty = (np.zeros(0, np.int32), np.zeros(0, np.float32))
    return Sparse(
        indptr=np.cumsum([0, *(len(indices) for indices, _ in in_order)], dtype=np.int64),
        indices=np.concatenate([empty[0], *(indices for indices, _ in in_order)]),
        data=np.concatenate([empty[1], *(data for _, data in in_order)]),
        tokens=tokens,
        truncated=run.truncated,
    )


Group = list[tuple[int, np.ndarray]]


def _groups(states: Iterator[tuple[int, np.ndarray]], rows: int) -> Iterator[Group]:
    """Sequences with at most so many positions together, or a longer one by itself."""
    group: Group = []
    held = 0
    for i, x_LD in states:
        if group and held + len(x_LD) > rows:
            yield group
            group, held = [], 0
        group.append((i, x_LD))
        held += len(x_LD)
    if group:
        yield group


def _largest_logits(run: Run, group: Group, vocab_size: int) -> Iterator[tuple[int, np.ndarray]]:
    """For each sequence of a group, the largest logit of each token over its positions, (V,)."""
    if len(group) == 1:
        (i, x_LD), *_ = group
        parts = [run.layers(x_LD[rows]).max(axis=0) for rows in _few(len(x_LD), vocab_size)]
        yield i, np.max(parts, axis=0)
        return
    logit_NV = run.layers(np.concatenate([x_LD for _, x_LD in group]))
    start = 0
    for i, x_LD in group:  # one by one: NumPy's reduceat takes as long as making the logits
        yield i, logit_NV[start : start + len(x_LD)].max(axis=0)
        start += len(x_LD)


def _rows_at_a_time(vocab_size: int) -> int:
    return max(_LEAST_ROWS, _LOGIT_BYTES // (4 * vocab_size))


def _few(count: int, vocab_size: int) -> Iterator[slice]:
    """Rows in parts whose logits fit into `_LOGIT_BYTES`."""
    step = _rows_at_a_time(vocab_size)
    for start in range(0, count, step):
        yield slice(start, start + step)


def _masks(fitted: Fitted, mask: int, index: int, name: str) -> np.ndarray:
    places = np.flatnonzero(fitted.tokenized.values[fitted.positions] == mask)
    if not places.size:
        cut = ", or its beginning has none and the rest was cut" if fitted.truncated else ""
        raise InputError(
            f"has no mask{cut}; write {name} where a token is to be found", sequence=index
        )
    return places


def _largest(share_V: np.ndarray, top: int) -> np.ndarray:
    """Indices of the `top` largest, largest first; of equal ones the first."""
    candidates = np.flatnonzero(share_V >= np.partition(share_V, -top)[-top])
    order = candidates[np.argsort(-share_V[candidates], kind="stable")]
    return order[:top]

"""Tokens of the vocabulary: what could stand at a mask, and the terms that a text is about.

L positions of a sequence; N of B sequences; D model width; V vocabulary; O some of its tokens.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from bothways.errors import InputError
from bothways.inference.predict.run import Run
from bothways.inference.results import Filled, Sparse
from bothways.reference.heads import term_weights
from bothways.sequences import FittedSequence

__all__ = ["fill", "sparse"]

_LOGIT_BYTES = 1 << 24
"""Of logits that are held at a time: what a processor's cache holds, or nearly."""

_LARGEST_BYTES = 1 << 25
"""Of the largest logits of sequences that are held at a time."""

_POSITIONS = 1024
"""Positions whose logits are made at a time: so many use what is read of the decoder's matrix."""

_LEAST_ROWS = 64
"""Rows of logits at a time where each has the whole vocabulary, at the least, for the same."""


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
    for group in _groups(run.of_positions(), max(1, _LARGEST_BYTES // (4 * len(tokens)))):
        largest_BV = _largest_logits(run, [x_LD for _, x_LD in group], len(tokens))
        for (i, _), largest_V in zip(group, largest_BV, strict=True):
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


def _groups(states: Iterator[tuple[int, np.ndarray]], sequences: int) -> Iterator[Group]:
    """At most so many sequences, and positions, together; or a longer sequence by itself."""
    group: Group = []
    held = 0
    for i, x_LD in states:
        if group and (held + len(x_LD) > _POSITIONS or len(group) == sequences):
            yield group
            group, held = [], 0
        group.append((i, x_LD))
        held += len(x_LD)
    if group:
        yield group


def _largest_logits(run: Run, group: Sequence[np.ndarray], vocab_size: int) -> np.ndarray:
    """The largest logit of each token over the positions of each sequence, (B, V).

    Some tokens at a time, for all positions: that is the order that multiplies fastest, and its
    logits are still in a cache when they are compared.
    """
    largest_BV = np.empty((len(group), vocab_size), np.float32)
    x_ND = np.concatenate(group)
    ends = np.cumsum([len(x_LD) for x_LD in group]).tolist()
    for part, logit_NO in run.outputs_by_column(x_ND, max(1, _LOGIT_BYTES // (4 * len(x_ND)))):
        # One by one: NumPy's reduceat takes as long as making the logits.
        for row, (start, end) in enumerate(pairwise([0, *ends])):
            logit_NO[start:end].max(axis=0, out=largest_BV[row, part])
    return largest_BV


def _rows_at_a_time(vocab_size: int) -> int:
    return max(_LEAST_ROWS, _LOGIT_BYTES // (4 * vocab_size))


def _few(count: int, vocab_size: int) -> Iterator[slice]:
    """Rows in parts whose logits fit into `_LOGIT_BYTES`."""
    step = _rows_at_a_time(vocab_size)
    for start in range(0, count, step):
        yield slice(start, start + step)


def _masks(fitted: FittedSequence, mask: int, index: int, name: str) -> np.ndarray:
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

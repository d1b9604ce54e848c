"""Which positions are hidden, for encoders that learn to tell them from the rest.

T positions of a packed batch; E of them may be chosen; U units of them, hidden as one; S sequences.
"""

from collections.abc import Sequence

import numpy as np

from bothways.training.data.dataset import InputSequence

__all__ = ["choose_positions", "content_positions"]


def content_positions(pieces: Sequence[InputSequence]) -> tuple[np.ndarray, np.ndarray]:
    """The positions of a packed batch that are content, and the sequence of each; int64 (E,)."""
    positions, sequences, start = [], [], 0
    for sequence, piece in enumerate(pieces):
        places = np.arange(len(piece.values))[piece.content]
        positions.append(start + places)
        sequences.append(np.full(len(places), sequence))
        start += len(piece.values)
    return np.concatenate(positions), np.concatenate(sequences)


def choose_positions(
    sequence_E: np.ndarray, begins_E: np.ndarray, rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Choose a share of the positions of each sequence: bool (E,).

    Units are taken whole, in an order that chance decides, until the share is reached; whether the
    one that would cross it is taken is left to chance such that the share is `rate` on average. At
    least one unit of each sequence is chosen.

    sequence_E: the sequence of each position, ascending.
    begins_E: whether a position begins a unit. The first of a sequence always does.
    """
    if not len(sequence_E):
        return np.zeros(0, dtype=bool)
    begins_E = begins_E | (np.diff(sequence_E, prepend=-1) != 0)
    first_U = np.flatnonzero(begins_E)
    size_U = np.diff(first_U, append=len(sequence_E))
    sequence_U = sequence_E[first_U]
    order_U = np.lexsort((rng.random(len(first_U)), sequence_U))  # sequences stay in order
    size_U, sequence_U = size_U[order_U], sequence_U[order_U]
    before_U = np.cumsum(size_U) - size_U
    starts_sequence = np.diff(sequence_U, prepend=-1) != 0
    of_sequence_U = np.cumsum(starts_sequence) - 1
    before_U -= before_U[starts_sequence][of_sequence_U]
    wanted_S = rate * np.bincount(of_sequence_U, weights=size_U)
    reached_U = before_U + rng.random(len(first_U)) * size_U
    chosen_U = np.empty(len(first_U), dtype=bool)
    chosen_U[order_U] = (reached_U < wanted_S[of_sequence_U]) | starts_sequence
    chosen_E: np.ndarray = chosen_U[np.cumsum(begins_E) - 1]
    return chosen_E

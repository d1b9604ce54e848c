"""Random selection of the positions to mask.

E positions of a packed batch that may be selected; U units of positions, selected as a whole; S
sequences.
"""

from collections.abc import Sequence

import numpy as np

from bothways.training.data.dataset import InputSequence

__all__ = ["choose_positions", "content_positions"]


def content_positions(inputs: Sequence[InputSequence]) -> tuple[np.ndarray, np.ndarray]:
    """The content positions of a packed batch, and the sequence of each; both int64 (E,)."""
    positions, sequences, start = [], [], 0
    for sequence, tokens in enumerate(inputs):
        places = np.arange(len(tokens.values))[tokens.content]
        positions.append(start + places)
        sequences.append(np.full(len(places), sequence))
        start += len(tokens.values)
    return np.concatenate(positions), np.concatenate(sequences)


def choose_positions(
    sequence_E: np.ndarray, begins_E: np.ndarray, rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Select a fraction of the positions of each sequence at random: bool (E,).

    Whole units are selected in random order until the fraction is reached. The unit that crosses it
    is selected with the probability that makes the fraction `rate` on average. At least one unit of
    each sequence is selected.

    sequence_E: the sequence of each position, ascending.
    begins_E: whether a position begins a unit. The first position of a sequence always does.
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

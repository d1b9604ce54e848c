"""Classification: the labels of whole sequences, and of pairs of texts.

n sequences; C labels.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.inference.inputs import as_inputs, lists_as_pairs
from bothways.inference.options import RunOptions
from bothways.inference.predict.head_run import HeadRun
from bothways.inference.session import Session
from bothways.io.short_repr import ShortRepr

__all__ = ["Classification", "Classifications", "check_threshold", "classifications", "classify"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Classification(ShortRepr):
    """The label of one sequence.

    label: the most probable label; of a model with several labels per sequence, the list of those
        whose probability reaches the threshold.
    probabilities: float32 (C,), with sum 1 unless a sequence may have several labels.
    names: the labels in the order of the probabilities.
    truncated: whether the sequence was cut.
    """

    label: str | list[str]
    probabilities: np.ndarray
    names: tuple[str, ...]
    truncated: bool


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Classifications(ShortRepr):
    """The labels of n sequences; `[i]` is the `Classification` of one.

    labels: the most probable label of each sequence; of a model with several labels per sequence,
        the list of those whose probability reaches the threshold.
    probabilities: float32 (n, C); rows sum to 1 unless a sequence may have several labels.
    names: the labels in the order of the columns.
    truncated: whether each sequence was cut, bool (n,).
    """

    labels: list[str] | list[list[str]]
    probabilities: np.ndarray
    names: tuple[str, ...]
    truncated: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Classification:
        return Classification(
            self.labels[index], self.probabilities[index], self.names, bool(self.truncated[index])
        )

    def __iter__(self) -> Iterator[Classification]:
        return (self[i] for i in range(len(self)))


def classify(
    session: Session, sequences: Any, *, threshold: float, options: RunOptions
) -> Classification | Classifications:
    """Classify each sequence; one alone for a single sequence.

    Raises:
        InputError: naming the sequence that is invalid; if the threshold is not a probability, or
            the model has no head for classes.
    """
    rows, single = as_inputs(sequences, session.reader, pairs=True)
    rows = lists_as_pairs(rows, session.reader)
    run = HeadRun.start(session, ("classes", "multilabel"), rows, options, purpose="classify")
    check_threshold(threshold)
    results = classifications(run, run.sequence_outputs(), threshold)
    return results[0] if single else results


def check_threshold(threshold: float) -> None:
    """Check the probability that a label needs.

    Raises:
        InputError: if it is none.
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold={threshold}: expected a probability, from 0 to 1")


def classifications(run: HeadRun, output_nC: np.ndarray, threshold: float) -> Classifications:
    """The labels of n sequences from the outputs of a head for classes, float32 (n, C)."""
    names = run.head.labels
    share_nC = run.probabilities(output_nC)
    labels: list[str] | list[list[str]]
    if run.head.task == "multilabel":
        labels = [[names[i] for i in np.flatnonzero(share_C >= threshold)] for share_C in share_nC]
    else:
        labels = [names[i] for i in share_nC.argmax(axis=1)]
    return Classifications(labels, share_nC, names, run.truncated)

"""What a report is about: the part of the data that was held out, as it was evaluated."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bothways.training.data.dataset import Dataset
from bothways.training.objectives.objective import Evaluation

__all__ = ["HeldOutResults", "ReportFigure", "ReportSection"]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class HeldOutResults:
    """Sequences that the weights were not trained on, and what came of each.

    name: which they are, as in `valid.csv` or `a tenth of train.csv`.
    chose_weights: whether the best weights were chosen by these same sequences.
    evaluated: of all of them, as the objective's `evaluate` gives it.
    metrics: the objective's figures of it.
    dataset, order: the examples, and the index of each sequence evaluated, in the order in which
        `evaluated` has them, int (n,).
    text_of: the text of an example by index, or what else shows it in a line.
    """

    name: str
    chose_weights: bool
    evaluated: Evaluation
    metrics: Mapping[str, float]
    dataset: Dataset
    order: np.ndarray
    text_of: Callable[[int], str]

    def place(self, sequence: int) -> str:
        """Where the sequence stands, counted as `evaluated` counts: `train.csv, row 3`."""
        return self.dataset[int(self.order[sequence])].place

    def text(self, sequence: int) -> str:
        """Its text, counted likewise."""
        return self.text_of(int(self.order[sequence]))


class ReportFigure(NamedTuple):
    """A picture: the stem of its file's name, what it shows, and how it is drawn into a path."""

    name: str
    caption: str
    draw: Callable[[Path], None]


class ReportSection(NamedTuple):
    """A part of a report: its heading, its figures, and its Markdown."""

    title: str
    text: str
    figures: tuple[ReportFigure, ...] = ()

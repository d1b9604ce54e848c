"""Results on held-out data, and the parts of a report."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bothways.training.data.dataset import Dataset
from bothways.training.objectives.objective import Evaluation

__all__ = ["HeldOutResults", "MarkdownFigure", "MarkdownSection"]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class HeldOutResults:
    """Results on sequences that were not in the training data.

    name: of the data, such as `valid.csv` or `10.0 % of train.csv`.
    chose_weights: whether these sequences also selected the best weights.
    evaluated: the arrays of the objective's `evaluate`, over all sequences.
    metrics: the objective's metrics of these arrays.
    dataset, order: the examples, and the index of each in the order of `evaluated`, int (n,).
    text_of: returns an example in one line of text, by its index.
    """

    name: str
    chose_weights: bool
    evaluated: Evaluation
    metrics: Mapping[str, float]
    dataset: Dataset
    order: np.ndarray
    text_of: Callable[[int], str]

    def place(self, sequence: int) -> str:
        """The place of a sequence by its index in `evaluated`: `train.csv, row 3`."""
        return self.dataset[int(self.order[sequence])].place

    def text(self, sequence: int) -> str:
        """The text of a sequence by its index in `evaluated`."""
        return self.text_of(int(self.order[sequence]))


class MarkdownFigure(NamedTuple):
    """A figure: its file name without suffix, its caption, and a function that draws it."""

    name: str
    caption: str
    draw: Callable[[Path], None]


class MarkdownSection(NamedTuple):
    """A section of a report: its heading, its Markdown, and its figures."""

    title: str
    text: str
    figures: tuple[MarkdownFigure, ...] = ()

"""Results on held-out data, and the parts of a report."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bothways.training.data.dataset import Dataset
from bothways.training.data.examples import PackedExamples
from bothways.training.distributed.processes import Workers
from bothways.training.engine.evaluation import evaluate, evaluation_order
from bothways.training.engine.torch_setup import torch_for_training
from bothways.training.model import TrainedModel
from bothways.training.objectives.objective import Evaluation, Objective
from bothways.training.resolved_settings import ResolvedSettings
from bothways.training.simple_models.comparison import score_model
from bothways.training.simple_models.scores import RowScores

__all__ = ["HeldOutResults", "MarkdownFigure", "MarkdownSection", "evaluate_held_out"]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class HeldOutResults:
    """Results on sequences that were not in the training data.

    name: of the data, such as `valid.csv` or `10.0 % of train.csv`.
    chose_weights: whether these sequences also selected the best weights.
    evaluated: the arrays of the objective's `evaluate`, over all sequences.
    metrics: the objective's metrics of these arrays.
    dataset, order: the examples, and the index of each in the order of `evaluated`, int (n,).
    text_of: returns an example in one line of text, by its index.
    scores: by row; None for masked tokens and pairs.
    """

    name: str
    chose_weights: bool
    evaluated: Evaluation
    metrics: Mapping[str, float]
    dataset: Dataset
    order: np.ndarray
    text_of: Callable[[int], str]
    scores: RowScores | None = None

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


def evaluate_held_out(
    model: TrainedModel,
    objective: Objective,
    examples: PackedExamples | None,
    settings: ResolvedSettings,
    workers: Workers,
    *,
    name: str,
    chose_weights: bool,
    read_texts: Callable[[], Mapping[tuple[str, int], str]],
) -> HeldOutResults | None:
    """Evaluate a model on examples; the result is on the main process only.

    examples: None for none, and then the result is None. name, chose_weights: as in the result.
    read_texts: returns each row in one line of text, by file and row; called if a text is needed.
    """
    if examples is None:
        return None
    dataset = examples.to_dataset()
    with torch_for_training(workers.device, settings.threads):
        evaluated = evaluate(model, objective, dataset, settings, workers)
    if not workers.is_main:
        return None
    texts = cache(read_texts)

    def text_of(index: int) -> str:
        place = examples.place(index)
        return texts()[place.file, place.row]

    return HeldOutResults(
        name=name,
        chose_weights=chose_weights,
        evaluated=evaluated,
        metrics=objective.metrics(evaluated),
        dataset=dataset,
        order=evaluation_order(dataset, settings),
        text_of=text_of,
        scores=score_model(evaluated, objective.head, examples.form),
    )

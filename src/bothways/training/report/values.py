"""Report sections on values: errors, predicted against actual, and the largest errors.

n sequences; V values.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from bothways.training.objectives.metrics import (
    mean_absolute_error,
    r_squared,
    root_mean_squared_error,
)
from bothways.training.report.held_out import HeldOutResults, MarkdownFigure, MarkdownSection
from bothways.training.report.markdown import number, plain, table
from bothways.training.report.plots import draw_parity

__all__ = ["values"]

MAX_FIGURES = 12
MAX_MISTAKES = 20


def values(held_out: HeldOutResults, labels: Sequence[str]) -> Iterator[MarkdownSection]:
    """Sections on a head that predicts a number for each label."""
    predicted, target = held_out.evaluated["predictions"], held_out.evaluated["targets"]
    yield _errors(predicted, target, labels)
    yield _worst(held_out, labels)


def _errors(predicted: np.ndarray, target: np.ndarray, labels: Sequence[str]) -> MarkdownSection:
    """Errors by value, with its standard deviation: the error of always predicting the mean."""
    columns = (
        mean_absolute_error(predicted, target),
        root_mean_squared_error(predicted, target),
        target.std(axis=0),
        r_squared(predicted, target),
    )
    header = ["value", "mean absolute error", "root mean squared error", "standard deviation", "R²"]
    rows = ([plain(label), *(number(c[i]) for c in columns)] for i, label in enumerate(labels))
    figures = tuple(
        MarkdownFigure(
            f"predicted_{i}" if len(labels) > 1 else "predicted",
            f"predicted against actual {label}",
            partial(draw_parity, predicted=predicted[:, i], target=target[:, i], name=label),
        )
        for i, label in enumerate(labels[:MAX_FIGURES])
    )
    text = "Errors are in the value's own unit; the standard deviation is that of the targets."
    return MarkdownSection("Errors", f"{table(header, rows)}\n\n{text}", figures)


def _worst(held_out: HeldOutResults, labels: Sequence[str]) -> MarkdownSection:
    """The sequences with the largest errors, in standard deviations of the value."""
    predicted, target = held_out.evaluated["predictions"], held_out.evaluated["targets"]
    scale = target.std(axis=0)
    error = np.abs(predicted - target) / np.where(scale > 0, scale, 1)
    worst = np.argsort(-error.max(axis=1), kind="stable")[:MAX_MISTAKES].tolist()
    rows = (
        [plain(held_out.place(i)), plain(labels[v]), number(target[i, v]), number(predicted[i, v]),
         number(predicted[i, v] - target[i, v]), plain(held_out.text(i))]
        for i in worst
        for v in [int(error[i].argmax())]
    )  # fmt: skip
    header = ["where", "value", "actual", "predicted", "error", "text"]
    return MarkdownSection("Largest errors", table(header, rows))

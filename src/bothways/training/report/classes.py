"""Report sections on classes: scores by class, confusion, calibration and mistakes.

n sequences or positions; C classes or labels.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from bothways.training.objectives.metrics import (
    Counts,
    class_counts,
    confusion_matrix,
    expected_calibration_error,
    label_counts,
    reliability,
)
from bothways.training.report.held_out import HeldOutResults, MarkdownFigure, MarkdownSection
from bothways.training.report.markdown import number, plain, table
from bothways.training.report.plots import draw_class_scores, draw_confusion, draw_reliability

__all__ = [
    "calibration",
    "confusions",
    "one_class",
    "scores",
    "several_classes",
]

MAX_ROWS = 200
"""Maximum number of classes in a table: the most frequent."""

MAX_MISTAKES = 20


def one_class(held_out: HeldOutResults, labels: Sequence[str]) -> Iterator[MarkdownSection]:
    """Sections on a classifier with one label per sequence."""
    probabilities, target = held_out.evaluated["probabilities"], held_out.evaluated["targets"]
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(predicted, target, len(labels))
    yield scores(class_counts(confusion), labels, "class")
    yield confusions(confusion, labels)
    yield calibration(probabilities.max(axis=1), predicted == target)
    yield _mistakes(held_out, labels, predicted)


def several_classes(held_out: HeldOutResults, labels: Sequence[str]) -> Iterator[MarkdownSection]:
    """Sections on a classifier with any number of labels per sequence."""
    probabilities, target = held_out.evaluated["probabilities"], held_out.evaluated["targets"]
    predicted, actual = probabilities > 0.5, target > 0.5
    yield scores(label_counts(predicted, actual), labels, "label")
    confidence = np.where(predicted, probabilities, 1 - probabilities)
    yield calibration(confidence.ravel(), (predicted == actual).ravel())
    yield _mistakes_of_several(held_out, labels, predicted, actual)


def scores(counts: Counts, labels: Sequence[str], noun: str) -> MarkdownSection:
    """Precision, recall and F1 by class; figures use its number if its name is unprintable."""
    frequent = np.argsort(-counts.actual, kind="stable")[:MAX_ROWS]
    columns = (counts.precision, counts.recall, counts.f1)
    rows = (
        [str(i), plain(labels[i]), *(f"{c[i]:.3f}" for c in columns), f"{counts.actual[i]:,}"]
        for i in np.sort(frequent).tolist()
    )
    text = table(["#", noun, "precision", "recall", "F1", "count"], rows)
    if len(labels) > MAX_ROWS:
        text += f"\n\nThe {MAX_ROWS} most frequent of {len(labels)}."
    draw = partial(draw_class_scores, counts=counts, labels=labels)
    figure = MarkdownFigure(f"scores_by_{noun}", f"precision, recall and F1 by {noun}", draw)
    return MarkdownSection(f"Scores by {noun}", text, (figure,))


def confusions(confusion: np.ndarray, labels: Sequence[str]) -> MarkdownSection:
    """The confusion matrix as a figure, and its largest errors as a table."""
    wrong = confusion * (1 - np.eye(len(labels), dtype=np.int64))
    largest = np.argsort(-wrong, axis=None, kind="stable")[:MAX_MISTAKES]
    pairs = [divmod(place, len(labels)) for place in largest.tolist() if wrong.flat[place] > 0]
    rows = (
        [plain(labels[actual]), plain(labels[predicted]), f"{wrong[actual, predicted]:,}",
         f"{100 * wrong[actual, predicted] / confusion[actual].sum():.1f} %"]
        for actual, predicted in pairs
    )  # fmt: skip
    text = table(["actual", "predicted", "count", "share of actual"], rows)
    draw = partial(draw_confusion, confusion=confusion, labels=labels)
    figure = MarkdownFigure("confusion", "actual and predicted classes", draw)
    return MarkdownSection("Confusion", text if pairs else "No errors.", (figure,))


def calibration(confidence: np.ndarray, correct: np.ndarray) -> MarkdownSection:
    """Confidence compared with accuracy; confidence and correct, (n,)."""
    bins = reliability(confidence, correct)
    text = (
        f"The accuracy is {100 * correct.mean():.1f} %, and the mean confidence is "
        f"{100 * confidence.mean():.1f} %. The expected calibration error, the mean difference of "
        f"the two over {len(bins.counts)} bins of confidence, is "
        f"{expected_calibration_error(bins):.3f}; 0 is best."
    )
    draw = partial(draw_reliability, bins=bins)
    figure = MarkdownFigure("calibration", "accuracy by confidence", draw)
    return MarkdownSection("Calibration", text, (figure,))


def _mistakes(
    held_out: HeldOutResults, labels: Sequence[str], predicted: np.ndarray
) -> MarkdownSection:
    probabilities, target = held_out.evaluated["probabilities"], held_out.evaluated["targets"]
    each = np.arange(len(target))
    of_actual, of_predicted = probabilities[each, target], probabilities[each, predicted]
    wrong = np.flatnonzero(predicted != target)
    worst = wrong[np.argsort(of_actual[wrong], kind="stable")][:MAX_MISTAKES].tolist()
    names = [plain(label) for label in labels]
    rows = (
        [plain(held_out.place(i)), names[target[i]], number(of_actual[i]),
         names[predicted[i]], number(of_predicted[i]), plain(held_out.text(i))]
        for i in worst
    )  # fmt: skip
    header = ["where", "actual", "probability", "predicted", "probability", "text"]
    return _mistakes_section(len(wrong), len(target), table(header, rows))


def _mistakes_of_several(
    held_out: HeldOutResults, labels: Sequence[str], predicted: np.ndarray, actual: np.ndarray
) -> MarkdownSection:
    wrong = np.flatnonzero((predicted != actual).any(axis=1))
    losses = held_out.evaluated["loss"].mean(axis=1)
    worst = wrong[np.argsort(-losses[wrong], kind="stable")][:MAX_MISTAKES].tolist()

    def names(mask: np.ndarray) -> str:
        return plain(", ".join(labels[i] for i in np.flatnonzero(mask).tolist()))

    rows = (
        [plain(held_out.place(i)), names(actual[i] & ~predicted[i]),
         names(predicted[i] & ~actual[i]), plain(held_out.text(i))]
        for i in worst
    )  # fmt: skip
    header = ["where", "missed", "wrongly predicted", "text"]
    return _mistakes_section(len(wrong), len(actual), table(header, rows))


def _mistakes_section(wrong: int, total: int, rows: str) -> MarkdownSection:
    if not wrong:
        return MarkdownSection("Mistakes", f"None in {total:,} sequences.")
    shown = "All of them:" if wrong <= MAX_MISTAKES else f"The {MAX_MISTAKES} worst:"
    text = f"{wrong:,} of {total:,} sequences. Wrong labels in the data show up here too. {shown}"
    return MarkdownSection("Mistakes", f"{text}\n\n{rows}")

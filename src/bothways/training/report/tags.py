"""Report sections on tags: scores by tag and span, confusion, calibration and mistakes.

N labeled positions of n sequences.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from bothways.training.data.dataset import IGNORED
from bothways.training.objectives.metrics import class_counts, confusion_matrix, span_counts
from bothways.training.report.classes import calibration, confusions, scores
from bothways.training.report.held_out import HeldOutResults, MarkdownSection
from bothways.training.report.markdown import plain, table

__all__ = ["tags"]

MAX_SEQUENCES = 20


def tags(
    held_out: HeldOutResults, labels: Sequence[str], *, spans: bool
) -> Iterator[MarkdownSection]:
    """Sections on a tagger. spans: whether the labels mark spans."""
    evaluated = held_out.evaluated
    predicted, target = evaluated["predictions"], evaluated["targets"]
    first = np.flatnonzero(evaluated["begins"])
    if spans:
        lengths = np.diff(first, append=len(target))
        types, counts = span_counts(predicted, target, lengths, labels)
        yield scores(counts, types, "span")
    confusion = confusion_matrix(predicted, target, len(labels))
    yield scores(class_counts(confusion), labels, "tag")
    yield confusions(confusion, labels)
    yield calibration(evaluated["confidence"], predicted == target)
    yield _worst(held_out, predicted != target, first)


def _worst(held_out: HeldOutResults, wrong: np.ndarray, first: np.ndarray) -> MarkdownSection:
    """The sequences with the most wrong tags.

    first: the first labeled position of each sequence that has any, (n,).
    """
    labeled = [place for place, i in enumerate(held_out.order.tolist()) if _is_labeled(held_out, i)]
    mistakes = np.add.reduceat(wrong.astype(np.int64), first)
    sizes = np.diff(first, append=len(wrong))
    with_any = np.flatnonzero(mistakes)
    worst = with_any[np.argsort(-mistakes[with_any], kind="stable")][:MAX_SEQUENCES].tolist()
    rows = (
        [plain(held_out.place(labeled[i])), f"{mistakes[i]:,}", f"{sizes[i]:,}",
         plain(held_out.text(labeled[i]))]
        for i in worst
    )  # fmt: skip
    summary = f"{len(with_any):,} of {len(first):,} sequences have a wrong tag."
    worst_table = table(["where", "wrong", "of", "text"], rows)
    return MarkdownSection(
        "Mistakes", f"{summary} The worst:\n\n{worst_table}" if worst else summary
    )


def _is_labeled(held_out: HeldOutResults, index: int) -> bool:
    target = held_out.dataset[index].target
    return target is not None and bool((target != IGNORED).any())

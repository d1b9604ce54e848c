"""Report sections on scored or labeled pairs: cosines against targets, and the largest errors.

B pairs.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np

from bothways.training.report.held_out import HeldOutResults, MarkdownFigure, MarkdownSection
from bothways.training.report.markdown import number, plain, table
from bothways.training.report.plots import draw_parity

__all__ = ["pairs"]

MAX_MISTAKES = 20
NUM_GROUPS = 5


def pairs(held_out: HeldOutResults, *, are_labels: bool) -> Iterator[MarkdownSection]:
    """Sections on the cosine of each pair. are_labels: whether targets are 0 and 1."""
    cosine_B = held_out.evaluated["cosines"][:, 0]
    target_B = held_out.evaluated["targets"]
    yield _cosines(cosine_B, target_B, are_labels=are_labels)
    yield _worst(held_out, cosine_B, target_B)


def _cosines(cosine_B: np.ndarray, target_B: np.ndarray, *, are_labels: bool) -> MarkdownSection:
    """Cosines by label, or by groups of scores of similar size."""
    order = np.argsort(target_B, kind="stable")
    groups = (
        [np.flatnonzero(target_B == label) for label in (0, 1)]
        if are_labels
        else np.array_split(order, min(NUM_GROUPS, len(order)))
    )
    names = ["dissimilar", "similar"] if are_labels else [_span(target_B[g]) for g in groups]
    rows = (
        [name, f"{len(g):,}", number(cosine_B[g].mean()), number(cosine_B[g].std())]
        for name, g in zip(names, groups, strict=True)
        if len(g)
    )
    header = ["pairs" if are_labels else "score", "number", "mean cosine", "standard deviation"]
    figures = () if are_labels else (
        MarkdownFigure(
            "cosines",
            "cosine against score",
            partial(draw_parity, predicted=cosine_B, target=target_B, name="similarity"),
        ),
    )  # fmt: skip
    return MarkdownSection("Cosines", table(header, rows), figures)


def _worst(held_out: HeldOutResults, cosine_B: np.ndarray, target_B: np.ndarray) -> MarkdownSection:
    worst = np.argsort(-np.abs(cosine_B - target_B), kind="stable")[:MAX_MISTAKES].tolist()
    rows = (
        [
            plain(held_out.place(i)),
            number(target_B[i]),
            number(cosine_B[i]),
            plain(held_out.text(i)),
        ]
        for i in worst
    )
    return MarkdownSection("Largest errors", table(["where", "target", "cosine", "text"], rows))


def _span(targets: np.ndarray) -> str:
    return f"{number(targets.min())} to {number(targets.max())}"

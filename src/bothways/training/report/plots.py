"""The figures of a training report, as PNG files; n targets, C classes."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from bothways.plotting.style import (
    BLUE,
    FAINT,
    GRAY,
    GREEN,
    ORANGE,
    VERMILION,
    CurveEnd,
    label_ends,
    new_figure,
    printable_labels,
    save_png,
    style_axes,
)
from bothways.training.objectives.metrics import (
    Counts,
    Reliability,
    expected_calibration_error,
    mean_absolute_error,
    r_squared,
    root_mean_squared_error,
)

if TYPE_CHECKING:  # matplotlib is optional and slow to import
    from matplotlib.axes import Axes

__all__ = [
    "Curve",
    "draw_class_scores",
    "draw_confusion",
    "draw_learning_curve",
    "draw_parity",
    "draw_reliability",
]

MAX_CLASSES = 40
"""Maximum number of classes in a figure; the rarest are merged."""

MAX_POINTS = 20_000
"""Maximum number of points in a parity plot, evenly sampled."""


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """A metric by step, such as the training loss: steps int (n,), values (n,)."""

    steps: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        """Number of points."""
        return len(self.steps)

    def smoothed(self) -> np.ndarray:
        """The values smoothed with a triangular window, (n,).

        Half of the weight lies within about a twentieth of the curve, so that a curve of any length
        shows its trend and little noise.
        """
        reach = max(1, len(self.values) // 20)
        weights = np.bartlett(2 * reach + 3)[1:-1]  # a triangle without its zeros
        total, weight = (
            np.convolve(a, weights)[reach : reach + len(a)]
            for a in (self.values, np.ones(len(self.values)))
        )
        return total / weight


def draw_learning_curve(
    path: Path,
    *,
    loss: Curve,
    learning_rate: Curve,
    validation_loss: Curve,
    monitored: Curve,
    metric: str,
    better: Literal["higher", "lower"],
) -> None:
    """Draw losses and learning rate by step, and mark the best validation.

    monitored: the validation `metric` that selects the best weights, in a panel of its own unless
        it is the loss. The validation curves may be empty.
    """
    own_panel = metric != "loss" and len(monitored) > 0
    heights = (3.0, 1.6, 1.0) if own_panel else (3.0, 1.0)
    figure = new_figure(7, sum(heights))
    panels = list(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights))
    losses, rates = style_axes(panels[0]), style_axes(panels[-1])

    losses.plot(loss.steps, loss.values, color=FAINT, linewidth=0.8)
    training = Curve(loss.steps, loss.smoothed())
    losses.plot(training.steps, training.values, color=BLUE)
    losses.plot(*_points(validation_loss), color=VERMILION, marker="o", markersize=3.5)
    losses.set_ylabel("mean loss per target")
    _leave_out_outliers(losses, np.concatenate([training.values, validation_loss.values]))
    ends = (("training", training, BLUE), ("validation", validation_loss, VERMILION))
    label_ends(
        losses,
        [CurveEnd(c.steps[-1], c.values[-1], name, color) for name, c, color in ends if len(c)],
    )

    if own_panel:
        measured = style_axes(panels[1])
        measured.plot(*_points(monitored), color=GREEN, marker="o", markersize=3.5)
        measured.set_ylabel(f"{metric},\nvalidation")
    if len(monitored):
        _mark_best(panels, monitored, metric, better)

    rates.plot(learning_rate.steps, learning_rate.values, color=GRAY)
    rates.set_ylabel("learning rate")
    rates.set_ylim(bottom=0)
    rates.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2), useMathText=True)
    rates.set_xlabel("step")
    rates.locator_params(axis="x", integer=True, steps=[1, 2, 5, 10])
    save_png(figure, path)


def draw_confusion(path: Path, confusion: np.ndarray, labels: Sequence[str]) -> None:
    """Draw a confusion matrix (C, C): actual classes in rows, predicted ones in columns.

    Colors show the fraction of the row, and numbers the count.
    """
    confusion, names = _with_rarest_merged(confusion, printable_labels(labels))
    count = len(names)
    cell, text = (0.52, 8.0) if count <= 12 else (0.36, 6.5) if count <= 24 else (0.3, 5.0)
    side = max(3.0, cell * count)
    figure = new_figure(side + 2.2, side + 1.6)
    axes = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(confusion), strict=True):
        shade = "white" if shares[row, column] > 0.55 else "black"
        number = _short_count(int(confusion[row, column]))
        axes.text(column, row, number, ha="center", va="center", fontsize=text, color=shade,
                  in_layout=False)  # fmt: skip
    size = 9 if count <= 24 else 7
    axes.set_xticks(range(count), names, rotation=90, fontsize=size, parse_math=False)
    axes.set_yticks(range(count), names, fontsize=size, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("actual")
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, shrink=min(1.0, 2.5 / side), pad=0.02)
    bar.set_label("share of the actual class")
    save_png(figure, path)


def draw_class_scores(path: Path, counts: Counts, labels: Sequence[str]) -> None:
    """Draw F1 of each class as a bar, with precision and recall, and its count after its name.

    If there are too many classes, only the most frequent are drawn.
    """
    names = printable_labels(labels)
    shown = np.sort(np.argsort(-counts.actual, kind="stable")[:MAX_CLASSES])
    height = 0.26 * len(shown) + 1.3
    figure = new_figure(7, height)
    axes = style_axes(figure.subplots())
    rows = np.arange(len(shown))
    axes.barh(rows, counts.f1[shown], height=0.7, color="#A6CBE3", label="F1")
    axes.plot(counts.precision[shown], rows, ">", color=VERMILION, markersize=5, label="precision")
    axes.plot(counts.recall[shown], rows, "o", color=BLUE, markersize=4, label="recall")
    ticks = [f"{names[i]} ({counts.actual[i]:,})" for i in shown]
    axes.set_yticks(rows, ticks, fontsize=8, parse_math=False)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("score; counts in brackets")
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside upper right", ncols=3, frameon=False)
    save_png(figure, path)


def draw_reliability(path: Path, bins: Reliability) -> None:
    """Draw accuracy by confidence, above the number of predictions."""
    figure = new_figure(5, 5.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    style_axes(upper), style_axes(lower)
    edges = np.linspace(0, 1, len(bins.counts) + 1)
    width = 1 / len(bins.counts)
    filled = bins.counts > 0
    starts = edges[:-1][filled]
    bars = {"width": width, "align": "edge", "edgecolor": "white"}
    upper.bar(starts, bins.accuracy[filled], color="#A6CBE3", **bars)
    upper.plot([0, 1], [0, 1], color=GRAY, linestyle="--", linewidth=1)
    upper.plot(bins.confidence[filled], bins.accuracy[filled], "o", color=BLUE, markersize=5)
    behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8}
    upper.text(0.03, 0.93, "dashed: perfectly calibrated", color=GRAY, fontsize=9, bbox=behind)
    error = expected_calibration_error(bins)
    upper.set_title(f"expected calibration error {error:.3f}", fontsize=10, loc="left")
    upper.set_ylabel("accuracy")
    upper.set_xlim(0, 1)
    upper.set_ylim(0, 1.02)
    lower.bar(starts, bins.counts[filled], color=FAINT, **bars)
    lower.set_ylabel("predictions")
    lower.set_xlabel("confidence, the probability of the prediction")
    save_png(figure, path)


def draw_parity(path: Path, predicted: np.ndarray, target: np.ndarray, name: str) -> None:
    """Draw predicted against actual values, both (n,). name: the label, with its unit."""
    kept = np.linspace(0, len(target) - 1, min(len(target), MAX_POINTS)).astype(int)
    figure = new_figure(5, 5)
    (title,) = printable_labels([name])
    axes = style_axes(figure.subplots())
    both = np.concatenate([predicted, target])
    low, high = float(both.min()), float(both.max())
    margin = 0.04 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=GRAY, linestyle="--", linewidth=1)
    opacity = float(np.clip(150 / len(kept), 0.08, 0.7))
    axes.plot(target[kept], predicted[kept], "o", color=BLUE, markersize=4, alpha=opacity, mew=0)
    axes.set_xlim(limits)
    axes.set_ylim(limits)
    axes.set_aspect("equal")
    axes.set_xlabel(f"actual {title}", parse_math=False)
    axes.set_ylabel(f"predicted {title}", parse_math=False)
    scores = (
        ("mean absolute error", mean_absolute_error),
        ("root mean squared error", root_mean_squared_error),
        ("R²", r_squared),
    )
    lines = [f"{label} {float(score(predicted, target)):.4g}" for label, score in scores]
    axes.text(0.03, 0.97, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=9)
    save_png(figure, path)


# Shared by the figures


def _mark_best(
    panels: Sequence["Axes"], monitored: Curve, metric: str, better: Literal["higher", "lower"]
) -> None:
    values = monitored.values if better == "higher" else -monitored.values
    best = int(np.nanargmax(values))
    step = int(monitored.steps[best])
    for axes in panels[:-1]:
        axes.axvline(step, color=ORANGE, linewidth=1.2)
    shown = f"best {metric} {monitored.values[best]:.4g}, step {step:,}"
    panels[0].set_title(shown, fontsize=10, color="#8A5F00", loc="left", parse_math=False)


def _points(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    return curve.steps, curve.values


def _leave_out_outliers(axes: "Axes", values: np.ndarray) -> None:
    """Limit the axis so that the first, highest values do not hide the trend of the curve."""
    values = values[np.isfinite(values)]
    if len(values) > 1:
        low, high = float(values.min()), float(np.quantile(values, 0.98))
        margin = 0.08 * (high - low)
        if margin > 0:
            axes.set_ylim(low - margin, high + 2 * margin)


def _with_rarest_merged(
    confusion: np.ndarray, names: Sequence[str]
) -> tuple[np.ndarray, Sequence[str]]:
    """Merge the rarest classes into one, so that at most `MAX_CLASSES` remain."""
    if len(names) <= MAX_CLASSES:
        return confusion, names
    frequency = confusion.sum(axis=0) + confusion.sum(axis=1)
    kept = np.sort(np.argsort(-frequency, kind="stable")[: MAX_CLASSES - 1])
    place = np.full(len(names), len(kept))
    place[kept] = np.arange(len(kept))
    merged = np.zeros((len(kept) + 1, len(kept) + 1), np.int64)
    np.add.at(merged, (place[:, None], place[None, :]), confusion)
    return merged, [*(names[i] for i in kept), f"{len(names) - len(kept)} others"]


def _short_count(count: int) -> str:
    return f"{count / 1000:.0f}k" if count >= 10_000 else str(count)

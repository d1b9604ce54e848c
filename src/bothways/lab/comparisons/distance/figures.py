"""The figures of `bothways compare distance`, and their alternative texts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bothways.lab.comparisons.distance.experiment import DistanceResult
from bothways.lab.models.associative_recall import path_length
from bothways.lab.report.percentages import format_median
from bothways.model.baselines import EncoderName
from bothways.plotting.curves import ENCODER_STYLES, CurveWithRange, draw_curves
from bothways.plotting.style import new_figure, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "SMALLEST_GRADIENT",
    "accuracy_alt_text",
    "at_distance",
    "draw_accuracy",
    "gradient_alt_text",
    "gradient_figure",
    "relative_to_nearest",
]

SMALLEST_GRADIENT = 1e-9
"""The lower limit of the gradient axis; single precision has about 7 digits."""

BySeedAndDistance = Mapping[int, Mapping[int, float]]


def at_distance(numbers: BySeedAndDistance, distance: int) -> list[float]:
    """The numbers at one distance, by seed."""
    return [by_distance[distance] for by_distance in numbers.values()]


def relative_to_nearest(numbers: BySeedAndDistance) -> list[list[float]]:
    """The numbers of each seed by distance, divided by the one at the smallest distance."""
    rows = [np.array(list(by_distance.values())) for by_distance in numbers.values()]
    return [(row / row[0]).tolist() for row in rows]


def draw_accuracy(axes: "Axes", result: DistanceResult) -> None:
    """Accuracy by distance."""
    distances = result.settings.evaluated_distances
    draw_curves(
        axes,
        [
            CurveWithRange(name, distances, [list(row.values()) for row in by_seed.values()])
            for name, by_seed in ((n, e.accuracies) for n, e in result.encoders.items())
        ],
        x_label="distance between pair and query, positions",
        y_label="correct answers, fraction",
        x_scale="log2",
        y_limits=(-0.02, 1.03),
    )


def accuracy_alt_text(result: DistanceResult) -> str:
    """The accuracy figure in words."""
    distances = result.settings.evaluated_distances
    curves = [
        f"{name} " + ", ".join(format_median(at_distance(encoder.accuracies, d)) for d in distances)
        for name, encoder in result.encoders.items()
    ]
    return f"Accuracy at distances {', '.join(map(str, distances))}: {'; '.join(curves)}."


def gradient_figure(result: DistanceResult) -> "Figure":
    """Path length, and gradients before and after training, by distance."""
    distances = result.settings.evaluated_distances
    figure = new_figure(13, 4.6)
    paths, initial, trained = (style_axes(axes) for axes in figure.subplots(1, 3))
    paths.set_title("path length", fontsize=10, loc="left")
    _draw_path_lengths(paths, result)
    initial.set_title("gradient before training", fontsize=10, loc="left")
    trained.set_title("gradient after training", fontsize=10, loc="left")
    encoders = result.encoders.items()
    panels = (
        (initial, {name: relative_to_nearest(e.initial_gradients) for name, e in encoders}),
        (trained, {name: relative_to_nearest(e.trained_gradients) for name, e in encoders}),
    )
    values = np.concatenate([np.ravel(rows) for _, curves in panels for rows in curves.values()])
    limits = max(float(values.min()) / 3, SMALLEST_GRADIENT), max(float(values.max()) * 3, 10)
    for axes, curves in panels:
        draw_curves(
            axes,
            [CurveWithRange(name, distances, rows) for name, rows in curves.items()],
            x_label="distance, positions",
            y_label=f"relative to distance {distances[0]}",
            x_scale="log2",
            y_scale="log10",
            y_limits=limits,
        )
    return figure


def _draw_path_lengths(axes: "Axes", result: DistanceResult) -> None:
    """One curve for all encoders with equal path lengths."""
    distances = result.settings.evaluated_distances
    groups: dict[tuple[int, ...], list[EncoderName]] = {}
    for name in result.encoders:
        lengths = tuple(n for d in distances if (n := path_length(name, d)) is not None)
        if lengths:
            groups.setdefault(lengths, []).append(name)
    draw_curves(
        axes,
        [
            # Only recurrent encoders share path lengths. More than three names do not fit.
            CurveWithRange(
                ", ".join(names) if len(names) <= 3 else "recurrent",
                distances,
                [lengths],
                ENCODER_STYLES[names[0]],
            )
            for lengths, names in groups.items()
        ],
        x_label="distance, positions",
        y_label="layers or steps",
        x_scale="log2",
        y_scale="log10",
    )


def gradient_alt_text(result: DistanceResult) -> str:
    """The gradient figure in words."""
    distances = result.settings.evaluated_distances
    near, far = distances[0], distances[-1]
    ends = []
    for name, encoder in result.encoders.items():
        initial, trained = (
            float(np.median([row[-1] for row in relative_to_nearest(gradients)]))
            for gradients in (encoder.initial_gradients, encoder.trained_gradients)
        )
        ends.append(f"{name}, path {path_length(name, far)}, {initial:.2g} and {trained:.2g}")
    return (
        f"Path length and gradient by distance. At distance {far}, the gradient relative to "
        f"distance {near}, before and after training: {'; '.join(ends)}."
    )

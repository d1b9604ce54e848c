"""The report of `bothways compare distance`: recall, gradients and paths, by distance."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bothways.lab.comparison import Comparison
from bothways.lab.distance import DistanceResult, DistanceSettings, run_distance
from bothways.lab.figures import Line, draw_lines
from bothways.lab.recaller import path_length
from bothways.lab.report import ReportFigure, Section, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COMPARISON", "distance_sections"]

FAINTEST = 1e-9
"""The bottom of the figures of gradients: single precision has 7 digits."""

BySeed = Mapping[int, Mapping[int, float]]
"""Numbers by seed and distance."""


def distance_sections(result: DistanceResult) -> list[Section]:
    """Who recalls from how far, what of it the gradient sees, and what the paths would say."""
    settings = result.settings
    seeds = f"{len(settings.seeds)} seeds"
    return [
        Section(
            "Recall by distance",
            (
                _finding(result),
                f"Of {settings.length} positions, {settings.num_pairs} hold a key and a value and "
                "the others nothing; the last holds one of the keys, and its value is asked for. "
                "So there is little to remember, and nothing to tell far from near but the "
                f"positions between. Curves are the median of {seeds}, bands reach from the worst "
                f"to the best; {settings.examples} new sequences of each distance.",
            ),
            (
                ReportFigure(
                    "distance-accuracy",
                    lambda axes: _draw_accuracy(axes, result),
                    f"Right answers by distance. Guessing makes {100 / settings.num_values:.1f} % "
                    "of them right, and guessing among the values that are there about "
                    f"{100 / settings.num_pairs:.0f} %.",
                    _told(result),
                ),
            ),
            (_accuracies(result),),
        ),
        Section(
            "What the gradient sees, and how long the path is",
            (
                "The gradient of the right answer's score by the input that holds it says how "
                "much a change there is felt, and so what training can learn from. Each curve is "
                "divided by its value at distance 1: sizes differ between encoders for reasons "
                "that have nothing to do with distance.",
                "Beside it, the length of the path as Vaswani et al. 2017 count it (section 4 and "
                "table 1): the layers or steps that a signal goes through at least. Where each "
                "step scales what it passes on, a path of n steps scales it n times over (Bengio "
                "et al. 1994), and the gradient of a recurrent encoder falls with distance: the "
                "slower, the more carefully it begins. These begin as carefully as is known, with "
                "orthogonal matrices (Saxe et al. 2014) and open forget gates (Jozefowicz et al. "
                "2015). Through self-attention it does not depend on distance at all.",
                "That a gradient arrives is needed to learn, but it is not enough: what arrives "
                "has gone through all that lies between, and is mixed with it.",
            ),
            (
                _gradients(result, "fresh", "before training"),
                _gradients(result, "trained", "after training"),
                ReportFigure(
                    "distance-path",
                    lambda axes: _draw_paths(axes, result),
                    "The length of the path between question and answer, in layers or steps.",
                    "Path length against distance: recurrent encoders rise with it, the "
                    "convolution with its logarithm, the Transformer stays at 1.",
                ),
            ),
            (_faded(result),),
        ),
        Section(
            "What is the same for all, and what is not shown",
            (
                f"Budgets are equal: {settings.steps:,} steps of {settings.batch} sequences for "
                "each run; in training, the logarithm of the distance is drawn evenly. The first "
                "seed is trained at each rate of the same grid, and the rate of the best answers, "
                "on sequences that are not reported, is used for all seeds. All have the weights "
                "of the Transformer within 5 %, and its depth; the convolution has the layers "
                "that it takes to see the whole sequence.",
                "It shows what is learned with this budget, and not what can be: recurrent "
                "encoders with gates can hold a value over hundreds of steps, and with more "
                "training they reach farther. Up close they are as good as the Transformer, and "
                "they need no positions to tell near from far. In text, most of what a word needs "
                "is near.",
            ),
            tables=(_encoders(result),),
        ),
    ]


def _finding(result: DistanceResult) -> str:
    near, far = result.settings.distances[0], result.settings.distances[-1]
    told = [
        f"{name} {_percent(_at(found.accuracies, near))} at distance {near}, "
        f"{_percent(_at(found.accuracies, far))} at {far}"
        for name, found in result.found.items()
    ]
    return f"Right answers: {'; '.join(told)}."


def _at(numbers: BySeed, distance: int) -> list[float]:
    """The numbers of a distance, by seed."""
    return [by_distance[distance] for by_distance in numbers.values()]


def _percent(values: list[float]) -> str:
    return f"{100 * float(np.median(values)):.0f} %"


def _draw_accuracy(axes: "Axes", result: DistanceResult) -> None:
    distances = result.settings.distances
    draw_lines(
        axes,
        [
            Line(name, distances, [list(one.values()) for one in found.accuracies.values()])
            for name, found in result.found.items()
        ],
        x_label="distance between question and answer, positions",
        y_label="right answers, share",
        x_scale="log2",
        y_limits=(-0.02, 1.03),
    )


def _told(result: DistanceResult) -> str:
    """The figure in words, for those who do not see it."""
    curves = [
        f"{name} "
        + ", ".join(_percent(_at(found.accuracies, d)) for d in result.settings.distances)
        for name, found in result.found.items()
    ]
    distances = ", ".join(map(str, result.settings.distances))
    return f"Share of right answers at distances {distances}: {'; '.join(curves)}."


def _relative(numbers: BySeed) -> list[list[float]]:
    """Each seed's numbers by distance, divided by the first."""
    rows = [np.array(list(by_distance.values())) for by_distance in numbers.values()]
    return [(row / row[0]).tolist() for row in rows]


def _gradients(result: DistanceResult, which: str, when: str) -> ReportFigure:
    numbers = {
        name: found.fresh if which == "fresh" else found.trained
        for name, found in result.found.items()
    }

    def draw(axes: "Axes") -> None:
        draw_lines(
            axes,
            [
                Line(name, result.settings.distances, _relative(by_seed))
                for name, by_seed in numbers.items()
            ],
            x_label="distance between question and answer, positions",
            y_label="gradient, as a multiple of that at distance 1",
            x_scale="log2",
            y_scale="log10",
            y_limits=(FAINTEST, 1e3),
        )

    far = result.settings.distances[-1]
    ends = [
        f"{name} {float(np.median([row[-1] for row in _relative(by_seed)])):.2g}"
        for name, by_seed in numbers.items()
    ]
    return ReportFigure(
        f"distance-gradient-{which}",
        draw,
        f"The gradient {when}, by distance. What has left the figure below is less than "
        f"{FAINTEST:g} of what it is at distance 1.",
        f"Gradient against distance {when}; at distance {far}, as a multiple of that at distance "
        f"1: {'; '.join(ends)}.",
    )


def _draw_paths(axes: "Axes", result: DistanceResult) -> None:
    distances = result.settings.distances
    lines = []
    for name in result.found:
        lengths = [path_length(name, distance) for distance in distances]
        lines.append(Line(name, distances, [[n or float("nan") for n in lengths]]))
    draw_lines(
        axes,
        lines,
        x_label="distance between question and answer, positions",
        y_label="path length, layers or steps",
        x_scale="log2",
        y_scale="log10",
    )


def _accuracies(result: DistanceResult) -> Table:
    """Each cell: the median of the seeds, and the worst and best of them."""
    rows: list[tuple[str, ...]] = []
    for name, found in result.found.items():
        by_distance = [_at(found.accuracies, d) for d in result.settings.distances]
        cells = [
            f"{_percent(values)} ({100 * min(values):.0f} to {100 * max(values):.0f})"
            for values in by_distance
        ]
        rows.append((name, *cells))
    return Table(
        "Right answers by distance: median of the seeds (worst to best)",
        ("encoder", *(str(distance) for distance in result.settings.distances)),
        tuple(rows),
    )


def _faded(result: DistanceResult) -> Table:
    distances = result.settings.distances
    middle = distances[len(distances) // 2]
    rows: list[tuple[str | int | None, ...]] = []
    for name, found in result.found.items():
        cells = []
        for numbers in (found.fresh, found.trained):
            typical = np.median(_relative(numbers), axis=0)
            cells += [f"{typical[distances.index(d)]:.2g}" for d in (middle, distances[-1])]
        paths = [path_length(name, d) for d in (middle, distances[-1])]
        rows.append((name, *paths, *cells))
    return Table(
        "Path length, and the gradient as a multiple of that at distance 1 (median of the seeds)",
        (
            "encoder",
            *(f"path at {d}" for d in (middle, distances[-1])),
            *(f"{when}, at {d}" for when in ("fresh", "trained") for d in (middle, distances[-1])),
        ),
        tuple(rows),
    )


def _encoders(result: DistanceResult) -> Table:
    return Table(
        "The encoders",
        ("encoder", "weights", "layers", "width", "learning rate", "positions read", "s a run"),
        tuple(
            (
                name,
                found.parameters,
                found.layers,
                found.width,
                found.rate,
                found.tokens,
                found.seconds / len(found.losses),
            )
            for name, found in result.found.items()
        ),
    )


COMPARISON = Comparison(
    title="Distance: who finds what is far away",
    settings={
        "quick": DistanceSettings(
            encoders=("transformer", "lstm", "rnn"),
            length=9,
            steps=4,
            batch=8,
            examples=8,
            seeds=(0, 1),
            rates=(5e-3,),
            num_layers=1,
        ),
        "default": DistanceSettings(),
        "full": DistanceSettings(
            encoders=("transformer", "convolution", "lstm", "gru", "rnn", "lstm-forward"),
            length=257,
            steps=3000,
            examples=500,
            seeds=(0, 1, 2, 3, 4),
        ),
    },
    run=run_distance,
    sections=distance_sections,
)

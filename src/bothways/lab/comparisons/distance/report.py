"""The report of `bothways compare distance`: recall, gradients and paths, by distance."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bothways.lab.comparison import Comparison
from bothways.lab.comparisons.distance.experiment import (
    DistanceResult,
    DistanceSettings,
    run_distance,
)
from bothways.lab.models.associative_recall import path_length
from bothways.lab.report.percentages import typical, typical_and_range
from bothways.lab.report.writer import ReportFigure, Section, Table
from bothways.lab.training import ALL_LEARNING_RATES
from bothways.model.baselines import EncoderName
from bothways.plotting.curves import STYLES, Line, draw_lines
from bothways.plotting.style import new_figure, plain_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COMPARISON", "distance_sections"]

FAINTEST = 1e-9
"""The bottom of the figure of gradients: single precision has 7 digits."""

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
                "How many of the other pairs stand nearer than the one that is asked for is drawn "
                "apart from its distance, so that giving the nearest value is no better nearby "
                f"than far away. Curves are the median of {seeds}, bands reach from the worst to "
                f"the best; {settings.examples} new sequences of each distance.",
            ),
            (
                ReportFigure(
                    "distance-accuracy",
                    lambda axes: _draw_accuracy(axes, result),
                    "Right answers by distance. Whoever does not heed the key, and gives one of "
                    f"the values that are there, has {100 * _heedless(settings):.0f} % right; "
                    f"whoever gives any value, {100 / settings.num_values:.1f} %.",
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
                f"divided by its value at distance {settings.distances[0]}: sizes differ between "
                "encoders for reasons that have nothing to do with distance.",
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
                ReportFigure(
                    "distance-gradient",
                    _drawn_gradients(result),
                    "Left, the path between question and answer in theory; then the gradient "
                    "before training and after it. What has left a panel below is less than "
                    f"{FAINTEST:g} of what it is at distance {settings.distances[0]}.",
                    _told_gradients(result),
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
        f"{name} {typical(_at(found.accuracies, near))} at distance {near}, "
        f"{typical(_at(found.accuracies, far))} at {far}"
        for name, found in result.found.items()
    ]
    return f"Right answers: {'; '.join(told)}."


def _heedless(settings: DistanceSettings) -> float:
    """The share of right answers if one of the values is given, whichever key is asked for."""
    asked = 1 / settings.num_pairs
    return asked + (1 - asked) / settings.num_values


def _at(numbers: BySeed, distance: int) -> list[float]:
    """The numbers of a distance, by seed."""
    return [by_distance[distance] for by_distance in numbers.values()]


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
        f"{name} " + ", ".join(typical(_at(found.accuracies, d)) for d in result.settings.distances)
        for name, found in result.found.items()
    ]
    distances = ", ".join(map(str, result.settings.distances))
    return f"Share of right answers at distances {distances}: {'; '.join(curves)}."


def _relative(numbers: BySeed) -> list[list[float]]:
    """Each seed's numbers by distance, divided by the first."""
    rows = [np.array(list(by_distance.values())) for by_distance in numbers.values()]
    return [(row / row[0]).tolist() for row in rows]


def _drawn_gradients(result: DistanceResult) -> "Figure":
    figure = new_figure(13, 4.6)
    paths, fresh, trained = (plain_axes(axes) for axes in figure.subplots(1, 3))
    paths.set_title("path length", fontsize=10, loc="left")
    _draw_paths(paths, result)
    fresh.set_title("gradient before training", fontsize=10, loc="left")
    trained.set_title("gradient after training", fontsize=10, loc="left")
    both = (
        (fresh, {name: _relative(found.fresh) for name, found in result.found.items()}),
        (trained, {name: _relative(found.trained) for name, found in result.found.items()}),
    )
    every = np.concatenate([np.ravel(rows) for _, curves in both for rows in curves.values()])
    limits = max(float(every.min()) / 3, FAINTEST), max(float(every.max()) * 3, 10)
    for axes, curves in both:
        draw_lines(
            axes,
            [Line(name, result.settings.distances, rows) for name, rows in curves.items()],
            x_label="distance, positions",
            y_label=f"as a multiple of that at distance {result.settings.distances[0]}",
            x_scale="log2",
            y_scale="log10",
            y_limits=limits,
        )
    return figure


def _draw_paths(axes: "Axes", result: DistanceResult) -> None:
    """A curve for all encoders whose paths are as long."""
    distances = result.settings.distances
    together: dict[tuple[int, ...], list[EncoderName]] = {}
    for name in result.found:
        lengths = tuple(n for d in distances if (n := path_length(name, d)) is not None)
        if lengths:
            together.setdefault(lengths, []).append(name)
    draw_lines(
        axes,
        [
            # Only recurrent encoders have paths in common, and maybe more than fit beside a curve.
            Line(
                ", ".join(names) if len(names) <= 3 else "recurrent",
                distances,
                [lengths],
                STYLES[names[0]],
            )
            for lengths, names in together.items()
        ],
        x_label="distance, positions",
        y_label="layers or steps",
        x_scale="log2",
        y_scale="log10",
    )


def _told_gradients(result: DistanceResult) -> str:
    """The figure in words, for those who do not see it."""
    near, far = result.settings.distances[0], result.settings.distances[-1]
    ends = []
    for name, found in result.found.items():
        fresh, trained = (
            float(np.median([row[-1] for row in _relative(numbers)]))
            for numbers in (found.fresh, found.trained)
        )
        ends.append(f"{name}, path {path_length(name, far)}, {fresh:.2g} and {trained:.2g}")
    return (
        f"Path length and gradient against distance. At distance {far}, the gradient as a multiple "
        f"of that at distance {near}, before and after training: {'; '.join(ends)}."
    )


def _accuracies(result: DistanceResult) -> Table:
    """Each cell: the median of the seeds, and the worst and best of them."""
    rows: list[tuple[str, ...]] = []
    for name, found in result.found.items():
        by_distance = [_at(found.accuracies, d) for d in result.settings.distances]
        cells = [typical_and_range(values) for values in by_distance]
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
        "Path length, and the gradient as a multiple of that at distance "
        f"{distances[0]} (median of the seeds)",
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
            length=10,
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
            length=130,
            steps=1500,
            examples=500,
            seeds=(0, 1, 2, 3, 4),
            rates=ALL_LEARNING_RATES,
        ),
    },
    run=run_distance,
    sections=distance_sections,
)

"""The report of `bothways compare ablation`: loss curves, and what fresh blocks do to a signal."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bothways.lab.comparison import Comparison
from bothways.lab.comparisons.ablation.experiment import (
    VARIANTS,
    AblationResult,
    AblationSettings,
    Run,
    Start,
    run_ablation,
)
from bothways.lab.report.writer import ReportFigure, Section, Table
from bothways.plotting.curves import Line, Scale, draw_lines, numbered_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COMPARISON", "ablation_sections"]

POINTS = 50
"""Of a loss curve: each the mean of as many steps."""


def ablation_sections(result: AblationResult) -> list[Section]:
    """What was found, how the loss fell, and how a fresh encoder passes on what it is given."""
    settings = result.settings
    deepest = max(settings.depths)
    return [
        Section(
            "What fails without it",
            (
                _finding(result),
                f"The task: add to each of {settings.length} symbols the one in its mirror image's "
                f"place, modulo {settings.num_symbols}. Attention has to bring the other symbol, "
                "positions have to say which one it is, and the sum of the two, being no sum of "
                "vectors, takes something that is not linear: the feed-forward, or what can be "
                "had of softmax and norms without one. Guessing is right in "
                f"{100 / settings.num_symbols:.1f} %.",
            ),
            tables=(_accuracies(result), _rates(result)),
        ),
        Section(
            "How the loss falls",
            (
                "Medians of the seeds, at the rate that was best for each; bands reach from the "
                "lowest to the highest. Guessing has a loss of "
                f"{math.log(settings.num_symbols):.2f} nats; curves that leave the figure at its "
                "top are named there.",
            ),
            tuple(_losses(result, depth) for depth in settings.depths),
        ),
        Section(
            "Why a skip connection, and why a norm",
            (
                f"Both are seen before any training, in fresh encoders of {deepest} layers. "
                "Without skip connections, a layer hands on nothing but what attention mixed. "
                "Fresh attention is nearly an average over the sequence, and an average of such "
                "averages has forgotten what was averaged: after a few layers all positions have "
                "one vector (Dong et al. 2021, Attention is not all you need: it loses rank doubly "
                "exponentially with depth). A norm repairs the size of that vector, and so of "
                "the gradient; it cannot bring back the difference between positions, and a "
                "gradient of any size then says the same to all of them. With skip connections "
                "each position keeps what it came with.",
                "Without norms each layer adds to a sum that only grows, the next one multiplies "
                "what it reads by its weights, and sizes and gradients multiply from layer to "
                "layer. Weights that begin far smaller, as those of BERT and bothways do (standard "
                "deviation 0.02), put that off. Without both, nothing holds the size, whichever "
                "way it goes.",
            ),
            (
                _by_layer(
                    result,
                    "ablation-gradients",
                    lambda start: start.gradients,
                    "gradient of the hidden states, norm",
                    "log10",
                    "The gradient of the loss that reaches each layer of a fresh encoder, from the "
                    "last layer, at the right, down to the embeddings, 0.",
                ),
                _by_layer(
                    result,
                    "ablation-differences",
                    lambda start: start.differences,
                    "share that differs by position",
                    "linear",
                    "How much of the hidden states tells the positions of a sequence apart: their "
                    "distance from the sequence's mean, as a share of their size.",
                ),
            ),
        ),
        Section(
            "What was done",
            (
                f"Every variant gets the same budget: {settings.steps:,} steps of "
                f"{settings.sequences} new sequences, {settings.length * settings.sequences:,} "
                f"symbols, {len(settings.rates)} learning rates for the first seed, and the best "
                "of them, on sequences that are not reported, for all. Weights begin with the "
                "variance at which a linear map keeps the size of what passes (Glorot and Bengio "
                "2010). The block is pre-norm; parts are taken out, and nothing is put in their "
                "place, so that a block without feed-forward has fewer weights.",
                "This is one small task. What is of no use here may be of use elsewhere: one head "
                "is enough where there is one thing to look for, and a task without order needs no "
                "positions.",
            ),
            tables=(_sizes(result),),
        ),
    ]


def _finding(result: AblationResult) -> str:
    deepest = max(result.settings.depths)
    runs = result.runs[deepest]
    shares = [f"{name} {_percent(_middle(run))}" for name, run in runs.items()]
    return f"Sums that are right after training, {_layers(deepest)}: {', '.join(shares)}."


def _middle(run: Run) -> float:
    return float(np.median(list(run.accuracies.values())))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _layers(depth: int) -> str:
    return "1 layer" if depth == 1 else f"{depth} layers"


def _accuracies(result: AblationResult) -> Table:
    def told(run: Run) -> str:
        low, high = min(run.accuracies.values()), max(run.accuracies.values())
        spread = "" if high - low < 0.005 else f" ({_percent(low)} to {_percent(high)})"
        return _percent(_middle(run)) + spread

    return Table(
        "Sums that are right: the median of the seeds, and from the worst to the best",
        ("block", *(_layers(depth) for depth in result.runs)),
        tuple((name, *(told(runs[name]) for runs in result.runs.values())) for name in VARIANTS),
    )


def _rates(result: AblationResult) -> Table:
    return Table(
        "The learning rate that was chosen for each",
        ("block", *(_layers(depth) for depth in result.runs)),
        tuple((name, *(runs[name].rate for runs in result.runs.values())) for name in VARIANTS),
    )


def _sizes(result: AblationResult) -> Table:
    return Table(
        "Weights, the output included",
        ("block", *(_layers(depth) for depth in result.runs)),
        tuple(
            (name, *(runs[name].parameters for runs in result.runs.values())) for name in VARIANTS
        ),
    )


def _losses(result: AblationResult, depth: int) -> ReportFigure:
    settings, runs = result.settings, result.runs[depth]
    guessing = math.log(settings.num_symbols)
    styles = numbered_styles(list(VARIANTS))

    def draw(axes: "Axes") -> None:
        lines = []
        for name, run in runs.items():
            curves = [_thinned(losses, settings.steps) for losses in run.losses.values()]
            steps = np.linspace(0, settings.steps, len(curves[0]) + 1)[1:]
            lines.append(Line(name, steps.tolist(), curves, styles[name]))
        draw_lines(
            axes,
            lines,
            x_label="step",
            y_label="loss, nats a symbol",
            y_limits=(0, 1.4 * guessing),
            marks=False,
        )

    ends = "; ".join(
        f"{name} {np.median([losses[-1] for losses in run.losses.values()]):.2g}"
        for name, run in runs.items()
    )
    return ReportFigure(
        f"ablation-loss-{depth}",
        draw,
        f"The loss of training, {_layers(depth)}.",
        f"Curves of the loss by step for {_layers(depth)}. At the end, in nats: {ends}.",
    )


def _thinned(losses: Sequence[float], steps: int) -> list[float]:
    """Means of equal parts of a curve; of a run that ended early, none where it did not come."""
    whole = np.full(steps, np.nan)
    whole[: len(losses)] = losses
    return [float(part.mean()) for part in np.array_split(whole, min(POINTS, steps))]


def _by_layer(
    result: AblationResult,
    name: str,
    values: Callable[[Start], Sequence[float]],
    y_label: str,
    y_scale: Scale,
    caption: str,
) -> ReportFigure:
    deepest = max(result.settings.depths)
    styles = numbered_styles(list(VARIANTS))
    lines = [
        Line(
            variant,
            list(range(deepest + 1)),
            [values(start) for start in run.starts.values()],
            styles[variant],
        )
        for variant, run in result.runs[deepest].items()
    ]

    def draw(axes: "Axes") -> None:
        draw_lines(
            axes,
            lines,
            x_label="layer; 0 are the embeddings",
            y_label=y_label,
            y_scale=y_scale,
        )
        axes.locator_params(axis="x", integer=True)

    ends = "; ".join(
        f"{line.name} {line.middle[0]:.2g} and {line.middle[-1]:.2g}" for line in lines
    )
    return ReportFigure(
        name,
        draw,
        caption,
        f"Curves by layer, {y_label}. At the embeddings and after the last layer: {ends}.",
    )


COMPARISON = Comparison(
    title="Ablation: what each part of the encoder block is for",
    settings={
        "quick": AblationSettings(
            depths=(1, 2),
            d_model=8,
            num_heads=2,
            d_ff=8,
            length=4,
            num_symbols=3,
            sequences=4,
            steps=4,
            judged=8,
            seeds=(0,),
            rates=(1.5e-3,),
        ),
        "default": AblationSettings(),
        "full": AblationSettings(length=12, steps=600, seeds=(0, 1, 2)),
    },
    run=run_ablation,
    sections=ablation_sections,
)

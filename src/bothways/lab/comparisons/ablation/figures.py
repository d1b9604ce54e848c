"""The figures of `bothways compare ablation`."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bothways.lab.comparisons.ablation.experiment import AblationResult, SignalPropagation
from bothways.lab.comparisons.ablation.settings import VARIANTS
from bothways.lab.report.content import PageFigure
from bothways.plotting.curves import AxisScale, CurveWithRange, assign_styles, draw_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["layers_phrase", "loss_figure", "propagation_figure"]

MAX_POINTS = 50
"""Points of a loss curve; each is the mean of equally many steps."""


def layers_phrase(depth: int) -> str:
    """The depth in words, such as `6 layers`."""
    return "1 layer" if depth == 1 else f"{depth} layers"


def loss_figure(result: AblationResult, depth: int) -> PageFigure:
    """The training loss of all variants at one depth."""
    settings, variants = result.settings, result.variants[depth]
    guessing_loss = math.log(settings.num_symbols)
    styles = assign_styles(list(VARIANTS))

    def draw(axes: "Axes") -> None:
        curves = []
        for name, variant in variants.items():
            runs = [_loss_curve(losses, settings.steps) for losses in variant.losses.values()]
            steps = np.linspace(0, settings.steps, len(runs[0]) + 1)[1:]
            curves.append(CurveWithRange(name, steps.tolist(), runs, styles[name]))
        draw_curves(
            axes,
            curves,
            x_label="step",
            y_label="loss, nats per symbol",
            y_limits=(0, 1.4 * guessing_loss),
            markers=False,
        )

    final_losses = "; ".join(
        f"{name} {np.median([losses[-1] for losses in variant.losses.values()]):.2g}"
        for name, variant in variants.items()
    )
    return PageFigure(
        f"ablation-loss-{depth}",
        draw,
        f"Training loss with {layers_phrase(depth)}.",
        f"Training loss by step with {layers_phrase(depth)}. Final loss in nats: {final_losses}.",
    )


def propagation_figure(
    result: AblationResult,
    name: str,
    values: Callable[[SignalPropagation], Sequence[float]],
    y_label: str,
    y_scale: AxisScale,
    caption: str,
) -> PageFigure:
    """One measure of signal propagation by layer, in the deepest encoders."""
    deepest = max(result.settings.depths)
    styles = assign_styles(list(VARIANTS))
    curves = [
        CurveWithRange(
            variant_name,
            list(range(deepest + 1)),
            [values(signal) for signal in variant.at_initialization.values()],
            styles[variant_name],
        )
        for variant_name, variant in result.variants[deepest].items()
    ]

    def draw(axes: "Axes") -> None:
        draw_curves(
            axes,
            curves,
            x_label="layer (0: embeddings)",
            y_label=y_label,
            y_scale=y_scale,
        )
        axes.locator_params(axis="x", integer=True)

    ends = "; ".join(
        f"{curve.name} {curve.median[0]:.2g} and {curve.median[-1]:.2g}" for curve in curves
    )
    return PageFigure(
        name,
        draw,
        caption,
        f"Curves by layer: {y_label}. At the embeddings and after the last layer: {ends}.",
    )


def _loss_curve(losses: Sequence[float], steps: int) -> list[float]:
    """Means of equal parts of the curve; NaN for the steps after a run stopped early."""
    padded = np.full(steps, np.nan)
    padded[: len(losses)] = losses
    return [float(part.mean()) for part in np.array_split(padded, min(MAX_POINTS, steps))]

"""The report of `bothways compare distance`: accuracy, gradients and path lengths by distance."""

import numpy as np

from bothways.lab.comparison import Comparison
from bothways.lab.comparisons.distance.experiment import DistanceResult, run_distance
from bothways.lab.comparisons.distance.figures import (
    SMALLEST_GRADIENT,
    accuracy_alt_text,
    at_distance,
    draw_accuracy,
    gradient_alt_text,
    gradient_figure,
    relative_to_nearest,
)
from bothways.lab.comparisons.distance.settings import PRESETS, DistanceSettings
from bothways.lab.models.associative_recall import path_length
from bothways.lab.report.content import PageFigure, PageSection, ReportTable
from bothways.lab.report.percentages import format_median, format_median_and_range

__all__ = ["COMPARISON", "distance_sections"]


def distance_sections(result: DistanceResult) -> list[PageSection]:
    """Accuracy by distance, gradients and path lengths, and the method."""
    return [_accuracy_section(result), _gradient_section(result), _method_section(result)]


def _accuracy_section(result: DistanceResult) -> PageSection:
    settings = result.settings
    return PageSection(
        "Recall by distance",
        (
            _finding(result),
            f"Of {settings.length} positions, {settings.num_pairs} hold a key and a value, and the "
            "others are empty. The last position holds one of the keys and asks for its value. The "
            "number of other pairs between the queried pair and the query is drawn independently "
            "of the distance, so answering with the nearest value has the same accuracy at every "
            f"distance. Curves are medians of {len(settings.seeds)} seeds; bands extend from the "
            f"lowest to the highest seed. Each distance is evaluated on {settings.eval_sequences} "
            "new sequences.",
        ),
        (
            PageFigure(
                "distance-accuracy",
                lambda axes: draw_accuracy(axes, result),
                "Accuracy by distance. A model that ignores the key and answers with one of the "
                f"values in the sequence has {100 * _accuracy_without_key(settings):.0f} %; "
                f"guessing any value has {100 / settings.num_values:.1f} %.",
                accuracy_alt_text(result),
            ),
        ),
        (_accuracy_table(result),),
    )


def _gradient_section(result: DistanceResult) -> PageSection:
    nearest = result.settings.evaluated_distances[0]
    return PageSection(
        "Gradients and path lengths",
        (
            "The gradient of the answer's logit with respect to the input that holds the answer "
            "measures how much a change of that input matters, and so what training can learn from "
            f"it. Each curve is relative to its value at distance {nearest}, because absolute "
            "values differ between encoders for reasons unrelated to distance.",
            "The path length is that of Vaswani et al. 2017 (section 4 and table 1): the minimum "
            "number of layers or steps between two positions. If each step scales its input, a "
            "path of n steps scales it n times (Bengio et al. 1994), so the gradient of a "
            "recurrent encoder falls with distance. Good initialization slows this down; these "
            "encoders have orthogonal matrices (Saxe et al. 2014) and open forget gates "
            "(Jozefowicz et al. 2015). Gradients through self-attention do not depend on distance.",
            "A gradient is necessary for learning but not sufficient: in a recurrent encoder, the "
            "signal is also mixed with everything in between.",
        ),
        (
            PageFigure(
                "distance-gradient",
                gradient_figure(result),
                "Left: path length in theory. Center and right: the gradient before and after "
                "training. Curves that leave a panel at the bottom are below "
                f"{SMALLEST_GRADIENT:g} of their value at distance {nearest}.",
                gradient_alt_text(result),
            ),
        ),
        (_gradient_table(result),),
    )


def _method_section(result: DistanceResult) -> PageSection:
    settings = result.settings
    return PageSection(
        "Method and limits",
        (
            f"Budgets are equal: {settings.steps:,} steps of {settings.batch_size} sequences per "
            "run, with distances drawn uniformly in their logarithm. The first seed is trained at "
            "each learning rate of a common grid. The rate with the highest accuracy, on sequences "
            "that are not reported, is used for all seeds. Encoders have as many parameters as the "
            "Transformer, within 5 %, and the same depth; the convolution has as many layers as it "
            "needs to see the whole sequence. The head is a linear layer on the last vector.",
            "The result shows what this budget can teach, not what is possible: gated recurrent "
            "encoders can hold a value over hundreds of steps, and reach farther with more "
            "training. At short distances they match the Transformer, and they need no position "
            "embeddings to distinguish near from far. In text, most of what a word depends on is "
            "near.",
        ),
        tables=(_encoder_table(result),),
    )


def _finding(result: DistanceResult) -> str:
    distances = result.settings.evaluated_distances
    near, far = distances[0], distances[-1]
    accuracies = "; ".join(
        f"{name} {format_median(at_distance(encoder.accuracies, near))} at distance {near}, "
        f"{format_median(at_distance(encoder.accuracies, far))} at {far}"
        for name, encoder in result.encoders.items()
    )
    return f"Correct answers: {accuracies}."


def _accuracy_without_key(settings: DistanceSettings) -> float:
    """The accuracy of answering with a random value of the sequence, whatever the key."""
    queried = 1 / settings.num_pairs
    return queried + (1 - queried) / settings.num_values


def _accuracy_table(result: DistanceResult) -> ReportTable:
    distances = result.settings.evaluated_distances
    rows: list[tuple[str, ...]] = []
    for name, encoder in result.encoders.items():
        by_distance = [at_distance(encoder.accuracies, distance) for distance in distances]
        rows.append((name, *map(format_median_and_range, by_distance)))
    return ReportTable(
        "Correct answers by distance: median of the seeds (lowest to highest)",
        ("encoder", *(str(distance) for distance in distances)),
        tuple(rows),
    )


def _gradient_table(result: DistanceResult) -> ReportTable:
    distances = result.settings.evaluated_distances
    shown = (distances[len(distances) // 2], distances[-1])
    rows: list[tuple[str | int | None, ...]] = []
    for name, encoder in result.encoders.items():
        cells = []
        for gradients in (encoder.initial_gradients, encoder.trained_gradients):
            medians = np.median(relative_to_nearest(gradients), axis=0)
            cells += [f"{medians[distances.index(distance)]:.2g}" for distance in shown]
        rows.append((name, *(path_length(name, distance) for distance in shown), *cells))
    return ReportTable(
        "Path length, and the gradient relative to its value at distance "
        f"{distances[0]} (median of the seeds)",
        (
            "encoder",
            *(f"path at {distance}" for distance in shown),
            *(f"{when}, at {d}" for when in ("before training", "after training") for d in shown),
        ),
        tuple(rows),
    )


def _encoder_table(result: DistanceResult) -> ReportTable:
    return ReportTable(
        "The encoders",
        (
            "encoder",
            "encoder parameters",
            "head parameters",
            "layers",
            "width",
            "learning rate",
            "positions read",
            "seconds per run",
        ),
        tuple(
            (
                name,
                encoder.parameters.encoder,
                encoder.parameters.head,
                encoder.layers,
                encoder.width,
                encoder.learning_rate,
                encoder.tokens,
                encoder.seconds / len(encoder.losses),
            )
            for name, encoder in result.encoders.items()
        ),
    )


COMPARISON = Comparison(
    title="Distance: which encoders find information far away",
    presets=PRESETS,
    run=run_distance,
    sections=distance_sections,
)

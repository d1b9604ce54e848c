"""The report of `bothways compare bottleneck`: decoding accuracy by length for three systems."""

from typing import TYPE_CHECKING, Literal, assert_never

import numpy as np

from bothways.lab.comparison import Comparison
from bothways.lab.comparisons.bottleneck.experiment import (
    BottleneckResult,
    SystemResult,
    run_bottleneck,
)
from bothways.lab.comparisons.bottleneck.settings import PRESETS, SYSTEMS, BottleneckSettings
from bothways.lab.report.content import PageFigure, PageSection, ReportTable
from bothways.lab.report.percentages import format_median, format_median_and_range
from bothways.lab.tasks.dates import FORMATS
from bothways.plotting.curves import CurveWithRange, assign_styles, draw_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COMPARISON", "bottleneck_sections"]

AccuracyMeasure = Literal["exact_match", "symbol_accuracy"]

_MEASURE_NAMES: dict[AccuracyMeasure, str] = {
    "exact_match": "Entirely correct sequences",
    "symbol_accuracy": "Correct symbols",
}


def bottleneck_sections(result: BottleneckResult) -> list[PageSection]:
    """Accuracy by length, then the method, its limits and the systems."""
    settings = result.settings
    lengths = settings.trained_lengths
    return [
        PageSection(
            "Accuracy by length",
            (
                _finding(result),
                f"{_task_description(settings)} Curves are medians of {len(settings.seeds)} seeds; "
                "bands extend from the lowest to the highest seed. Each length is evaluated on "
                f"{settings.eval_sequences} new sequences with greedy decoding.",
            ),
            (
                PageFigure(
                    "bottleneck-exact",
                    lambda axes: _draw(axes, result, "exact_match"),
                    "Sequences that are correct from the first to the last symbol, end included.",
                    _alt_text(result, "exact_match"),
                ),
                PageFigure(
                    "bottleneck-symbols",
                    lambda axes: _draw(axes, result, "symbol_accuracy"),
                    "Symbols that are correct at their position.",
                    _alt_text(result, "symbol_accuracy"),
                ),
            ),
            (_accuracy_table(result, "exact_match"), _accuracy_table(result, "symbol_accuracy")),
        ),
        PageSection(
            "Method and limits",
            (
                "All systems have the same decoder: an LSTM that starts from the first and the "
                "last state of the encoder. The only difference is its context: one fixed vector, "
                "made of these two states and the same at each step (Sutskever et al. 2014; Cho et "
                "al. 2014), or attention over all encoder states (Bahdanau et al. 2015). In place "
                "of the four matrices of attention, the fixed vector has a feed-forward layer with "
                "as many parameters. The LSTM encoder is bidirectional.",
                "Encoders have equally many parameters, within 5 %; the decoder's count depends on "
                "the width of the encoder's states.",
                f"Budgets are equal: {settings.steps:,} steps of about "
                f"{settings.batch_symbols:,} symbols per run, with lengths from {lengths[0]} to "
                f"{lengths[-1]}. The first seed is trained at each learning rate of a common grid. "
                "The rate with the most entirely correct sequences, on data that is not reported, "
                "is used for all seeds.",
                _limits(settings),
            ),
            tables=(_system_table(result),),
        ),
    ]


def _task_description(settings: BottleneckSettings) -> str:
    match settings.task:
        case "copy" | "reverse":
            return (
                f"Each system reads a random sequence of {settings.num_symbols} different symbols "
                f"and has to {settings.task} it. Guessing gets "
                f"{100 / settings.num_symbols:.0f} % of the symbols right."
            )
        case "dates":
            return (
                f"Each system reads a date in one of {len(FORMATS)} formats, in words or in "
                "numbers, and has to write it in ISO 8601: year, month and day in ten characters."
            )
        case unknown:
            assert_never(unknown)


def _limits(settings: BottleneckSettings) -> str:
    """What the comparison does not show."""
    match settings.task:
        case "copy" | "reverse":
            return (
                "The result holds for this budget. A larger vector or longer training moves the "
                "length at which one vector fails, but does not remove it. Copying is also not a "
                "typical use of an encoder: it needs every symbol, so it shows the bottleneck "
                "first. A vector that represents the meaning of a text may leave most of it out, "
                "as the pooled vectors for search do."
            )
        case "dates":
            return (
                "The result holds for this budget. There are about 73,000 different dates, however "
                "long the text: the information that one vector has to hold does not grow with the "
                "source, unlike in copying."
            )
        case unknown:
            assert_never(unknown)


def _finding(result: BottleneckResult) -> str:
    lengths = result.settings.evaluated_lengths
    short, long = lengths[0], lengths[-1]
    accuracies = "; ".join(
        f"{name} {format_median(system.exact_match(short))} at {short} symbols, "
        f"{format_median(system.exact_match(long))} at {long}"
        for name, system in result.systems.items()
    )
    return f"Entirely correct sequences: {accuracies}."


def _draw(axes: "Axes", result: BottleneckResult, measure: AccuracyMeasure) -> None:
    lengths = result.settings.evaluated_lengths
    styles = assign_styles(tuple(SYSTEMS))
    draw_curves(
        axes,
        [
            CurveWithRange(
                name,
                lengths,
                np.transpose(_by_length(system, lengths, measure)).tolist(),
                styles[name],
            )
            for name, system in result.systems.items()
        ],
        x_label="sequence length, symbols",
        y_label=f"{_MEASURE_NAMES[measure].lower()}, fraction",
        y_limits=(-0.02, 1.03),
    )


def _by_length(
    system: SystemResult, lengths: tuple[int, ...], measure: AccuracyMeasure
) -> list[list[float]]:
    """The accuracy at each length, by seed."""
    at_length = system.exact_match if measure == "exact_match" else system.symbol_accuracy
    return [at_length(length) for length in lengths]


def _alt_text(result: BottleneckResult, measure: AccuracyMeasure) -> str:
    lengths = result.settings.evaluated_lengths
    ends = []
    for name, system in result.systems.items():
        medians = [format_median(values) for values in _by_length(system, lengths, measure)]
        ends.append(f"{name}, {medians[0]} at {lengths[0]} to {medians[-1]} at {lengths[-1]}")
    return f"{_MEASURE_NAMES[measure]} by sequence length: {'; '.join(ends)}."


def _accuracy_table(result: BottleneckResult, measure: AccuracyMeasure) -> ReportTable:
    lengths = result.settings.evaluated_lengths
    rows: list[tuple[str, ...]] = []
    for name, system in result.systems.items():
        cells = [format_median_and_range(values) for values in _by_length(system, lengths, measure)]
        rows.append((name, *cells))
    return ReportTable(
        f"{_MEASURE_NAMES[measure]} by sequence length: median of the seeds (lowest to highest)",
        ("system", *(str(length) for length in lengths)),
        tuple(rows),
    )


def _system_table(result: BottleneckResult) -> ReportTable:
    return ReportTable(
        "The systems",
        (
            "system",
            "encoder parameters",
            "decoder parameters",
            "state width",
            "learning rate",
            "symbols read",
            "seconds per run",
        ),
        tuple(
            (
                name,
                system.parameters.encoder,
                system.parameters.head,
                system.width,
                system.learning_rate,
                max(system.tokens.values()),
                system.seconds / len(system.losses),
            )
            for name, system in result.systems.items()
        ),
    )


COMPARISON = Comparison(
    title="Bottleneck: one context vector, or attention over all encoder states",
    presets=PRESETS,
    run=run_bottleneck,
    sections=bottleneck_sections,
)

"""The report of `bothways compare bottleneck`: accuracy by length, for three ways to see."""

from typing import TYPE_CHECKING, Literal, assert_never

import numpy as np

from bothways.lab.comparison import Comparison
from bothways.lab.comparisons.bottleneck.experiment import (
    SYSTEMS,
    BottleneckResult,
    BottleneckSettings,
    Found,
    run_bottleneck,
)
from bothways.lab.report.percentages import typical, typical_and_range
from bothways.lab.report.writer import ReportFigure, Section, Table
from bothways.lab.tasks.dates import FORMS
from bothways.lab.training import ALL_LEARNING_RATES
from bothways.plotting.curves import Line, draw_lines, numbered_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COMPARISON", "bottleneck_sections"]

Measure = Literal["exact", "symbols"]


def bottleneck_sections(result: BottleneckResult) -> list[Section]:
    """What was found, by length, and how it was made sure that nothing else differs."""
    settings = result.settings
    return [
        Section(
            "Accuracy by length",
            (
                _finding(result),
                f"{_asked(settings)} Curves are the median of {len(settings.seeds)} seeds, bands "
                f"reach from the worst to the best; {settings.examples} new sequences of each "
                "length, each step taking the likeliest symbol after those that it took before.",
            ),
            (
                ReportFigure(
                    "bottleneck-exact",
                    lambda axes: _draw(axes, result, "exact"),
                    "Sequences that are right from the first symbol to the last, and end there.",
                    _told(result, "exact", "Share of sequences that are wholly right"),
                ),
                ReportFigure(
                    "bottleneck-symbols",
                    lambda axes: _draw(axes, result, "symbols"),
                    "Symbols in the right place.",
                    _told(result, "symbols", "Share of symbols in the right place"),
                ),
            ),
            (_table(result, "exact"), _table(result, "symbols")),
        ),
        Section(
            "What is the same for all, and what is not",
            (
                "One decoder for all: an LSTM that starts from the encoder's first and last "
                "states. What it sees beside its own state is the only difference: through one "
                "vector, made of those two states and the same in each step (Sutskever et al. "
                "2014; Cho et al. 2014); or by attention over all states of the encoder (Bahdanau "
                "et al. 2015). Where attention has four matrices, the one vector has a "
                "feed-forward of as many weights. The LSTM reads in both directions.",
                f"Budgets are equal: {settings.steps:,} steps of about "
                f"{settings.batch_symbols:,} symbols for each run, of lengths from "
                f"{settings.practiced[0]} to {settings.practiced[-1]}. The first seed is trained "
                "at each rate of the same grid, and the rate that makes most sequences wholly "
                "right, of some that are not reported, is used for all seeds.",
                _limits(settings),
            ),
            tables=(_systems(result),),
        ),
    ]


def _asked(settings: BottleneckSettings) -> str:
    match settings.task:
        case "copy" | "reverse":
            how = "again" if settings.task == "copy" else "backwards"
            return (
                f"Each system reads a sequence of {settings.num_symbols} symbols, drawn at random, "
                f"and has to say it {how}. Guessing makes {100 / settings.num_symbols:.0f} % of "
                "the symbols right."
            )
        case "dates":
            return (
                "Each system reads a date as people write it, in words or in numbers, in one of "
                f"{len(FORMS)} forms, and has to write it as ISO 8601 does: year, month and day, "
                "ten characters."
            )
        case unknown:
            assert_never(unknown)


def _limits(settings: BottleneckSettings) -> str:
    """What the comparison does not show."""
    match settings.task:
        case "copy" | "reverse":
            return (
                "It shows what this budget buys. A larger vector or longer training moves the "
                "length at which one vector fails; it does not remove it. Nor is copying what "
                "encoders are for: it is the task that needs every symbol, and so the one where "
                "the bottleneck is felt first. A vector that stands for a text's meaning may leave "
                "most of it out, and pooled vectors, as bothways makes them for search, do."
            )
        case "dates":
            return (
                "It shows what this budget buys. A date is one of some 73,000 days here, however "
                "long the text that says it: what one vector has to hold does not grow with the "
                "source, as it does where the source is copied."
            )
        case unknown:
            assert_never(unknown)


def _finding(result: BottleneckResult) -> str:
    short, long = result.settings.lengths[0], result.settings.lengths[-1]
    told = [
        f"{name}: {typical(found.exact(short))} of sequences of {short} symbols wholly right, "
        f"{typical(found.exact(long))} of {long}"
        for name, found in result.found.items()
    ]
    return "; ".join(told) + "."


def _draw(axes: "Axes", result: BottleneckResult, measure: Measure) -> None:
    lengths = result.settings.lengths
    styles = numbered_styles(tuple(SYSTEMS))
    draw_lines(
        axes,
        [
            Line(
                name,
                lengths,
                np.transpose(_by_length(found, lengths, measure)).tolist(),
                styles[name],
            )
            for name, found in result.found.items()
        ],
        x_label="length of the sequence, symbols",
        y_label={"exact": "sequences wholly right, share", "symbols": "symbols right, share"}[
            measure
        ],
        y_limits=(-0.02, 1.03),
    )


def _by_length(found: Found, lengths: tuple[int, ...], measure: Measure) -> list[list[float]]:
    """The shares of each length, by seed."""
    of_length = found.exact if measure == "exact" else found.symbols
    return [of_length(length) for length in lengths]


def _told(result: BottleneckResult, measure: Measure, what: str) -> str:
    lengths = result.settings.lengths
    ends = []
    for name, found in result.found.items():
        shares = [typical(values) for values in _by_length(found, lengths, measure)]
        ends.append(f"{name}, {shares[0]} at {lengths[0]} to {shares[-1]} at {lengths[-1]}")
    return f"{what} against length: {'; '.join(ends)}."


def _table(result: BottleneckResult, measure: Measure) -> Table:
    """Each cell: the median of the seeds, and the worst and best of them."""
    what = {"exact": "sequences that are wholly right", "symbols": "symbols in the right place"}
    lengths = result.settings.lengths
    rows: list[tuple[str, ...]] = []
    for name, found in result.found.items():
        cells = [typical_and_range(values) for values in _by_length(found, lengths, measure)]
        rows.append((name, *cells))
    return Table(
        f"By length, the share of {what[measure]}: median of the seeds (worst to best)",
        ("system", *(str(length) for length in lengths)),
        tuple(rows),
    )


def _systems(result: BottleneckResult) -> Table:
    return Table(
        "The systems",
        ("system", "weights", "width of a state", "learning rate", "symbols read", "seconds a run"),
        tuple(
            (
                name,
                found.parameters,
                found.width,
                found.rate,
                max(found.tokens.values()),
                found.seconds / len(found.losses),
            )
            for name, found in result.found.items()
        ),
    )


COMPARISON = Comparison(
    title="Bottleneck: one vector of a sequence, or attention over all its states",
    settings={
        "quick": BottleneckSettings(
            shortest=2,
            longest=7,
            judged=6,
            every=2,
            examples=8,
            steps=4,
            batch_symbols=64,
            seeds=(0, 1),
            rates=(5e-3,),
            d_model=32,
            num_layers=1,
        ),
        "default": BottleneckSettings(),
        "full": BottleneckSettings(
            longest=66,
            judged=60,
            steps=2500,
            seeds=(0, 1, 2, 3, 4),
            rates=ALL_LEARNING_RATES,
            examples=500,
        ),
    },
    run=run_bottleneck,
    sections=bottleneck_sections,
)

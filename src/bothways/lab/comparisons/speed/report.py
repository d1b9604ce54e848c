"""The report of `bothways compare speed`: times by length, and the operations that explain them."""

import math
from collections.abc import Sequence

import numpy as np

from bothways.lab.comparison import Comparison
from bothways.lab.comparisons.speed.crossover import SpeedRelation, relate_times
from bothways.lab.comparisons.speed.experiment import (
    TIMED_WORK,
    BatchMode,
    SpeedResult,
    TimedWork,
    run_speed,
)
from bothways.lab.comparisons.speed.figures import WORK_NAMES, threads_phrase, time_figure
from bothways.lab.comparisons.speed.settings import PRESETS, WINDOWED
from bothways.lab.report.content import PageSection, ReportTable

__all__ = ["COMPARISON", "speed_sections"]

_BIDIRECTIONAL = ("rnn", "lstm", "gru")
_RECURRENT = (*_BIDIRECTIONAL, "rnn-forward", "lstm-forward", "gru-forward")

_COMPLEXITY = {
    "transformer": ("n² · d", "1", "1"),
    WINDOWED: ("r · n · d", "1", "n / r"),
    **dict.fromkeys(_RECURRENT, ("n · d²", "n", "n")),
    "convolution": ("k · n · d²", "1", "log n"),
    "bag": ("n · d²", "1", "none"),
}
"""Operations, sequential operations and path length of a layer: Vaswani et al. 2017, table 1, and
the corresponding values of a bag."""


def speed_sections(result: SpeedResult) -> list[PageSection]:
    """Crossovers, times, operation counts, and the method."""
    return [
        PageSection(
            "Crossovers",
            (
                _finding(result),
                "Faster and slower refer to the Transformer; times within 5 % count as equal. "
                "Crossovers are interpolated between measured lengths, with about two significant "
                "digits.",
            ),
            tables=(_crossover_table(result),),
        ),
        _time_section(result),
        _operation_section(result),
        _method_section(result),
    ]


def _time_section(result: SpeedResult) -> PageSection:
    settings = result.settings
    return PageSection(
        "Time by length",
        (
            f"Each time was measured {settings.repeats} times, with the encoders in turns. Curves "
            "are medians; bands extend from the shortest to the longest time. A batch holds as "
            f"many sequences as fit into {settings.batch_tokens:,} tokens. A recurrent encoder "
            "computes each step for all of them at once, so the cost of sequential steps only "
            "shows for long sequences, of which few fit. Training is the forward and backward pass "
            "without the update, which is the same for all encoders.",
        ),
        tuple(time_figure(result, work, mode) for work, mode in TIMED_WORK),
    )


def _operation_section(result: SpeedResult) -> PageSection:
    return PageSection(
        "Operations, and how many of them are sequential",
        (
            "The table shows the formulas of Vaswani et al. 2017 (section 4, table 1; n positions "
            "of width d, a window of r, a kernel of k) and the operations counted while each "
            "encoder read one sequence: additions and multiplications in matrix products per "
            "layer, and the longest chain of tensor operations that depend on each other in the "
            "whole encoder. The n² of the paper omits the projections to queries, keys and values "
            "and the feed-forward layer. These are linear in n and dominate until n is several "
            "times d, so at first the time of every encoder grows linearly. Growth of time is the "
            "exponent of time as a function of length, between the two longest sequences.",
        ),
        tables=(_operation_table(result),),
    )


def _method_section(result: SpeedResult) -> PageSection:
    return PageSection(
        "Method and limits",
        (
            "All encoders have the depth of the Transformer and as many parameters, within 5 %; "
            "the convolution has as many layers as it needs to see the whole sequence. There are "
            "no heads. All encoders run in torch, in single precision. Matrix products use oneDNN. "
            "Recurrent layers use torch's kernels, with one call for all steps of a layer and "
            "direction; only for the LSTM is this a single oneDNN kernel, and the others call a "
            "kernel for each step.",
            "These are results for a CPU. A GPU has thousands of parallel lanes and leaves most of "
            "them idle in sequential steps. The result says nothing about the quality of the "
            "encoders.",
        ),
        tables=(_size_table(result),),
    )


def _finding(result: SpeedResult) -> str:
    threads = result.settings.usable_threads[0]
    relations = [
        f"{name}: {_relation(result, name, 'forward', 'batch', threads)} encoding, "
        f"{_relation(result, name, 'training', 'batch', threads)} training"
        for name in _BIDIRECTIONAL
        if name in result.encoder_parameters
    ]
    if "transformer" not in result.encoder_parameters or not relations:
        return "Crossovers need the Transformer and a bidirectional recurrent encoder."
    return (
        f"The Transformer compared with recurrent encoders of equal size, in batches of "
        f"{result.settings.batch_tokens:,} tokens on {threads_phrase(threads)}. "
        f"{'; '.join(relations)}."
    )


def _crossover_table(result: SpeedResult) -> ReportTable:
    columns = [
        (work, mode, threads)
        for work, mode in TIMED_WORK
        for threads in result.settings.usable_threads
    ]
    others: list[str] = []
    if "transformer" in result.encoder_parameters:
        others = [name for name in result.encoder_parameters if name != "transformer"]
    return ReportTable(
        "The Transformer compared with each other encoder, by length",
        (
            "compared with",
            *(f"{WORK_NAMES[work, mode]}, {threads_phrase(n)}" for work, mode, n in columns),
        ),
        tuple(
            (name, *(str(_relation(result, name, work, mode, n)) for work, mode, n in columns))
            for name in others
        ),
    )


def _relation(
    result: SpeedResult, name: str, work: TimedWork, mode: BatchMode, threads: int
) -> SpeedRelation:
    transformer, other = (
        np.median(result.times(encoder, mode, work, threads), axis=0).tolist()
        for encoder in ("transformer", name)
    )
    return relate_times(result.settings.lengths, transformer, other)


def _operation_table(result: SpeedResult) -> ReportTable:
    short, long = result.settings.counted_lengths
    rows: list[tuple[str | int, ...]] = []
    for name, counts in result.operations.items():
        operations, sequential, path = _COMPLEXITY[name]
        per_layer = (counts[n].operations / result.layers[name] / 1e6 for n in (short, long))
        rows.append(
            (
                name,
                operations,
                *(f"{millions:,.3g}" for millions in per_layer),
                sequential,
                *(counts[n].sequential for n in (short, long)),
                path,
                _growth(result, name),
            )
        )
    return ReportTable(
        "A layer in theory, O(·) of Vaswani et al. 2017, table 1, and as counted",
        (
            "encoder",
            "operations, O",
            f"millions, n = {short:,}",
            f"n = {long:,}",
            "sequential, O",
            f"chain, n = {short:,}",
            f"n = {long:,}",
            "path length, O",
            "growth of time",
        ),
        tuple(rows),
    )


def _growth(result: SpeedResult, name: str) -> str:
    """The exponent of the time as a function of the length, between the two longest sequences."""
    lengths: Sequence[int] = result.settings.lengths
    if len(lengths) < 2:
        return "–"
    threads = result.settings.usable_threads[0]
    times = np.median(result.times(name, "batch", "forward", threads), axis=0)
    return f"{math.log(times[-1] / times[-2]) / math.log(lengths[-1] / lengths[-2]):.1f}"


def _size_table(result: SpeedResult) -> ReportTable:
    return ReportTable(
        "The encoders",
        ("encoder", "encoder parameters", "layers"),
        tuple(
            (name, count, result.layers[name]) for name, count in result.encoder_parameters.items()
        ),
    )


COMPARISON = Comparison(
    title="Speed: run time of encoders by sequence length",
    presets=PRESETS,
    run=run_speed,
    sections=speed_sections,
)

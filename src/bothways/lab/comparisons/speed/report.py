"""The report of `bothways compare speed`: times by length, and beside them what theory says."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bothways.lab.comparison import Comparison
from bothways.lab.comparisons.speed.crossover import Race, race
from bothways.lab.comparisons.speed.experiment import (
    WINDOWED,
    Load,
    Pass,
    SpeedResult,
    SpeedSettings,
    run_speed,
)
from bothways.lab.report.writer import ReportFigure, Section, Table
from bothways.plotting.curves import Line, draw_lines
from bothways.plotting.style import new_figure, plain_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COMPARISON", "speed_sections"]

_BOTH_WAYS = ("rnn", "lstm", "gru")
_RECURRENT = (*_BOTH_WAYS, "rnn-forward", "lstm-forward", "gru-forward")

_IN_THEORY = {
    "transformer": ("n² · d", "1", "1"),
    WINDOWED: ("r · n · d", "1", "n / r"),
    **dict.fromkeys(_RECURRENT, ("n · d²", "n", "n")),
    "convolution": ("k · n · d²", "1", "log n"),
    "bag": ("n · d²", "1", "none"),
}
"""Operations, sequential operations and path length of a layer: Vaswani et al. 2017, table 1, and
what follows for a bag."""

_KINDS: tuple[tuple[Pass, Load, str], ...] = (
    ("forward", "batch", "encoding in batches"),
    ("training", "batch", "training in batches"),
    ("forward", "single", "encoding one by one"),
)


def speed_sections(result: SpeedResult) -> list[Section]:
    """What was found, the times, and what explains them."""
    settings = result.settings
    tokens = f"{settings.batch_tokens:,} tokens"
    return [
        Section(
            "Where they cross",
            (_finding(result), *_remarks(result)),
            tables=(_races(result),),
        ),
        Section(
            "Time by length",
            (
                f"Each time was taken {settings.repeats} times, the encoders in turns: curves are "
                "medians, bands reach from the shortest to the longest. In batches, as many "
                f"sequences as make {tokens} are taken together; then the steps of a recurrent "
                "encoder are made for all of them at once, and only long sequences, of which few "
                "fit, show what waiting costs. Training is the forward pass and the gradients of "
                "all weights, without the update, which is the same for all.",
            ),
            tuple(_figure(result, *kind) for kind in _KINDS),
        ),
        Section(
            "Why: operations, and those that wait",
            (
                "Beside each formula of Vaswani et al. 2017 (section 4, table 1; n positions of "
                "width d, a window of r, a kernel of k) stands what was counted while the encoder "
                "read one sequence: additions and multiplications in matrix products, a layer; "
                "and the longest chain of operations on tensors of which each waits for the one "
                "before, in the whole encoder. Their n² leaves out the linear maps of queries, "
                "keys and values and the feed-forward, which grow with n alone and are most of "
                "the work until n is several times d: so time grows with n at first, whatever "
                "the encoder. Growth is the exponent of time by length between the two longest.",
            ),
            tables=(_theory(result),),
        ),
        Section(
            "What was measured",
            (
                "All encoders have the depth of the Transformer, and its number of weights within "
                "5 %; a convolution has as many layers as it takes to see the whole sequence. "
                "All run in torch, in single precision: matrix products by oneDNN, recurrent "
                "layers by torch's own kernels, one call for all steps of a layer and direction; "
                "of these, oneDNN has one for the LSTM alone, and the others call a kernel for "
                "each step.",
                "This shows a CPU. A GPU has thousands of lanes for what can be done at once, and "
                "leaves most of them idle where each step waits for the last. It shows nothing of "
                "how good the encoders are either.",
            ),
            tables=(_sizes(result),),
        ),
    ]


def _finding(result: SpeedResult) -> str:
    threads = result.settings.usable_threads[0]
    found = [
        f"{name}: {_race(result, name, 'forward', 'batch', threads)} encoding, "
        f"{_race(result, name, 'training', 'batch', threads)} training"
        for name in _BOTH_WAYS
        if name in result.parameters
    ]
    if "transformer" not in result.parameters or not found:
        return "Without the Transformer and a recurrent encoder there is nothing to hold together."
    return (
        f"The Transformer against recurrent encoders of its size, in batches of "
        f"{result.settings.batch_tokens:,} tokens on {_threads(threads)}. {'; '.join(found)}."
    )


def _remarks(result: SpeedResult) -> tuple[str, ...]:
    return (
        "Faster and slower are said of the Transformer; times within 5 % count as equal. A "
        "crossing lies between two lengths that were measured, and is known to about two digits.",
    )


def _races(result: SpeedResult) -> Table:
    columns = [
        (work, load, told, threads)
        for work, load, told in _KINDS
        for threads in result.settings.usable_threads
    ]
    others = [name for name in result.parameters if name != "transformer"]
    there = "transformer" in result.parameters
    return Table(
        "The Transformer against each other encoder, by length",
        ("against", *(f"{told}, {_threads(threads)}" for _, _, told, threads in columns)),
        tuple(
            (name, *(str(_race(result, name, work, load, n)) for work, load, _, n in columns))
            for name in others
            if there
        ),
    )


def _race(result: SpeedResult, name: str, work: Pass, load: Load, threads: int) -> Race:
    ours, theirs = (
        np.median(result.times(encoder, load, work, threads), axis=0).tolist()
        for encoder in ("transformer", name)
    )
    return race(result.settings.lengths, ours, theirs)


def _figure(result: SpeedResult, work: Pass, load: Load, told: str) -> ReportFigure:
    done = {"forward": "encode", "training": "train on"}[work]
    how = {
        "batch": f"in batches of {result.settings.batch_tokens:,} tokens",
        "single": "one at a time",
    }[load]
    threads = " and on ".join(_threads(count) for count in result.settings.usable_threads)
    return ReportFigure(
        f"speed-{work}-{load}",
        _drawn(result, work, load),
        f"Time to {done} a sequence, {how}, divided by its length, on {threads}. A level curve is "
        "time that grows as the length does; a rising one, faster than that.",
        f"Curves of time per token against length, for {', '.join(result.parameters)}, {told}. "
        + _told_ends(result, work, load),
    )


def _drawn(result: SpeedResult, work: Pass, load: Load) -> "Figure":
    counts = result.settings.usable_threads
    figure = new_figure(5.2 * len(counts), 5.2)
    panels = figure.subplots(1, len(counts), sharey=True, squeeze=False)[0]
    lengths = np.array(result.settings.lengths)
    lines = {
        count: [
            Line(name, lengths.tolist(), (np.array(times) / lengths * 1e6).tolist())
            for name in result.parameters
            if (times := result.times(name, load, work, count))
        ]
        for count in counts
    }
    every = [value for of_count in lines.values() for line in of_count for value in line.middle]
    for axes, count in zip(panels, counts, strict=True):
        axes.set_title(_threads(count), fontsize=10, loc="left")
        draw_lines(
            plain_axes(axes),
            lines[count],
            x_label="length of the sequence, tokens",
            y_label="time per token, µs" if axes is panels[0] else "",
            x_scale="log2",
            y_scale="log10",
            y_limits=(min(every) / 1.2, max(every) * 1.2),
        )
    return figure


def _told_ends(result: SpeedResult, work: Pass, load: Load) -> str:
    """The figure's ends in words, for those who do not see it."""
    lengths, threads = result.settings.lengths, result.settings.usable_threads[0]
    ends = []
    for name in result.parameters:
        times = np.median(result.times(name, load, work, threads), axis=0) / lengths * 1e6
        ends.append(f"{name} {times[0]:.2g} to {times[-1]:.2g}")
    return (
        f"Microseconds per token on {_threads(threads)}, from {lengths[0]:,} to {lengths[-1]:,} "
        f"tokens: {'; '.join(ends)}."
    )


def _theory(result: SpeedResult) -> Table:
    short, long = result.settings.counted_lengths
    rows: list[tuple[str | int, ...]] = []
    for name, counted in result.work.items():
        operations, sequential, path = _IN_THEORY[name]
        per_layer = (counted[n].operations / result.layers[name] / 1e6 for n in (short, long))
        rows.append(
            (
                name,
                operations,
                *(f"{millions:,.3g}" for millions in per_layer),
                sequential,
                *(counted[n].sequential for n in (short, long)),
                path,
                _growth(result, name),
            )
        )
    return Table(
        "A layer in theory and as counted: O(·) of Vaswani et al. 2017, table 1",
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
    """The exponent by which a sequence's time grows with its length, at the longest."""
    lengths: Sequence[int] = result.settings.lengths
    if len(lengths) < 2:
        return "–"
    threads = result.settings.usable_threads[0]
    times = np.median(result.times(name, "batch", "forward", threads), axis=0)
    return f"{math.log(times[-1] / times[-2]) / math.log(lengths[-1] / lengths[-2]):.1f}"


def _sizes(result: SpeedResult) -> Table:
    return Table(
        "The encoders",
        ("encoder", "weights", "layers"),
        tuple((name, count, result.layers[name]) for name, count in result.parameters.items()),
    )


def _threads(count: int) -> str:
    return {1: "one thread", 2: "two threads"}.get(count, f"{count} threads")


COMPARISON = Comparison(
    title="Speed: how long encoders take, by the length of the sequence",
    settings={
        "quick": SpeedSettings(
            lengths=(8, 32),
            threads=(1,),
            batch_tokens=64,
            repeats=1,
            num_layers=1,
            d_model=32,
            window=4,
        ),
        "default": SpeedSettings(),
        "full": SpeedSettings(
            lengths=tuple(2**i for i in range(4, 14)),
            batch_tokens=8192,
            repeats=9,
        ),
    },
    run=run_speed,
    sections=speed_sections,
)

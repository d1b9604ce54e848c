"""The figures of `bothways compare speed`."""

from typing import TYPE_CHECKING

import numpy as np

from bothways.lab.comparisons.speed.experiment import BatchMode, SpeedResult, TimedWork
from bothways.lab.report.content import PageFigure
from bothways.plotting.curves import CurveWithRange, draw_curves
from bothways.plotting.style import new_figure, style_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["WORK_NAMES", "threads_phrase", "time_figure"]

WORK_NAMES: dict[tuple[TimedWork, BatchMode], str] = {
    ("forward", "batch"): "encoding in batches",
    ("training", "batch"): "training in batches",
    ("forward", "single"): "encoding one at a time",
}


def threads_phrase(count: int) -> str:
    """The number of threads in words."""
    return {1: "one thread", 2: "two threads"}.get(count, f"{count} threads")


def time_figure(result: SpeedResult, work: TimedWork, mode: BatchMode) -> PageFigure:
    """Time per token by length, with one panel for each number of threads."""
    verb = {"forward": "encode", "training": "train on"}[work]
    grouping = {
        "batch": f"in batches of {result.settings.batch_tokens:,} tokens",
        "single": "one at a time",
    }[mode]
    threads = " and on ".join(threads_phrase(count) for count in result.settings.usable_threads)
    return PageFigure(
        f"speed-{work}-{mode}",
        _draw(result, work, mode),
        f"Time to {verb} a sequence, {grouping}, divided by its length, on {threads}. Flat curves: "
        "time is proportional to length; rising curves: it grows faster.",
        f"Time per token by length for {', '.join(result.encoder_parameters)}, "
        f"{WORK_NAMES[work, mode]}. {_ends_in_words(result, work, mode)}",
    )


def _draw(result: SpeedResult, work: TimedWork, mode: BatchMode) -> "Figure":
    thread_counts = result.settings.usable_threads
    figure = new_figure(5.2 * len(thread_counts), 5.2)
    panels = figure.subplots(1, len(thread_counts), sharey=True, squeeze=False)[0]
    lengths = np.array(result.settings.lengths)
    curves = {
        threads: [
            CurveWithRange(name, lengths.tolist(), (np.array(times) / lengths * 1e6).tolist())
            for name in result.encoder_parameters
            if (times := result.times(name, mode, work, threads))
        ]
        for threads in thread_counts
    }
    values = [value for group in curves.values() for curve in group for value in curve.median]
    for axes, threads in zip(panels, thread_counts, strict=True):
        axes.set_title(threads_phrase(threads), fontsize=10, loc="left")
        draw_curves(
            style_axes(axes),
            curves[threads],
            x_label="sequence length, tokens",
            y_label="time per token, µs" if axes is panels[0] else "",
            x_scale="log2",
            y_scale="log10",
            y_limits=(min(values) / 1.2, max(values) * 1.2),
        )
    return figure


def _ends_in_words(result: SpeedResult, work: TimedWork, mode: BatchMode) -> str:
    """The first and the last point of each curve, for the alternative text."""
    lengths, threads = result.settings.lengths, result.settings.usable_threads[0]
    ends = []
    for name in result.encoder_parameters:
        times = np.median(result.times(name, mode, work, threads), axis=0) / lengths * 1e6
        ends.append(f"{name} {times[0]:.2g} to {times[-1]:.2g}")
    return (
        f"Microseconds per token on {threads_phrase(threads)}, from {lengths[0]:,} to "
        f"{lengths[-1]:,} tokens: {'; '.join(ends)}."
    )

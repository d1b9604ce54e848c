"""Progress of long work: a bar on a terminal, a line per minute elsewhere, or nothing."""

import contextlib
import datetime
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from bothways.cli.console import note
from bothways.io.sizes import format_bytes

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

    from bothways.jobs.worker import JobProgress
    from bothways.training.runs.events import EventCallback, TrainingEvent

__all__ = [
    "clock",
    "comparison_progress",
    "encoding_progress",
    "job_progress",
    "pull_progress",
    "stage_progress",
    "training_progress",
]

_FIRST_LINE_SECONDS = 5.0
_LINE_SECONDS = 60.0
"""Without a terminal, the first line is printed after the former, and then one per minute."""

_BAR_COLUMNS = 16

EncodingReport = Callable[[int, float | None], None]
"""Called with the number of encoded tokens, and the completed fraction if it is known."""
PullReport = Callable[[int, int | None], None]
"""Called with the number of bytes fetched, and the total if it is known."""


@contextlib.contextmanager
def encoding_progress(*, quiet: bool) -> Iterator[EncodingReport]:
    """Show tokens, tokens/s and, if the fraction is known, the remaining time."""
    started = time.monotonic()

    def status(tokens: int, fraction: float | None) -> list[str]:
        seconds = time.monotonic() - started
        parts = [f"{tokens:,} tokens", f"{tokens / max(seconds, 1e-3):,.0f} tokens/s"]
        if fraction:
            parts = [
                f"{fraction:4.0%}",
                *parts,
                f"{clock(seconds * (1 - fraction) / fraction)} left",
            ]
        return parts

    with _display("encoding", quiet=quiet) as show:
        yield lambda tokens, fraction: show(fraction, lambda: status(tokens, fraction))


@contextlib.contextmanager
def job_progress(*, quiet: bool) -> Iterator[Callable[["JobProgress"], None]]:
    """Show rows, tokens/s, shards, bad and copied rows, and the estimated end."""

    def status(progress: "JobProgress") -> list[str]:
        left = progress.seconds_left
        parts = [f"{progress.fraction:4.0%}"]
        if left is not None:
            parts += [f"{clock(left)} left (until {_clock_time(left)})"]
        parts += [
            f"{progress.rows:,} of {progress.total_rows:,} rows",
            f"{progress.tokens / max(progress.seconds, 1e-3):,.0f} tokens/s",
            f"{progress.shards:,} of {progress.total_shards:,} shards",
        ]
        counts = ((progress.bad, "bad"), (progress.copied, "copied"))
        return parts + [f"{count:,} {word}" for count, word in counts if count]

    with _display("encoding", quiet=quiet) as show:
        yield lambda progress: show(progress.fraction, partial(status, progress))


def _clock_time(seconds: float) -> str:
    """The time of day in `seconds` seconds, with the date unless it is today."""
    now = datetime.datetime.now().astimezone()
    end = now + datetime.timedelta(seconds=seconds)
    return end.strftime("%H:%M" if end.date() == now.date() else "%Y-%m-%d %H:%M")


@contextlib.contextmanager
def stage_progress(title: str, *, quiet: bool) -> Iterator[Callable[[float | None], None]]:
    """Show the completed fraction of some work, if it is known."""
    with _display(title, quiet=quiet) as show:
        yield lambda fraction: show(
            fraction, lambda: [] if fraction is None else [f"{fraction:4.0%}"]
        )


@contextlib.contextmanager
def comparison_progress(*, quiet: bool) -> Iterator[Callable[[str, float], None]]:
    """Show the current activity, the completed fraction of all work, and the remaining time."""
    started = time.monotonic()

    def status(activity: str, fraction: float) -> list[str]:
        seconds = time.monotonic() - started
        left = [f"{clock(seconds * (1 - fraction) / fraction)} left"] if fraction > 0.02 else []
        return [f"{fraction:4.0%}", activity, *left]

    with _display("comparing", quiet=quiet) as show:
        yield lambda activity, fraction: show(fraction, lambda: status(activity, fraction))


@contextlib.contextmanager
def training_progress(*, quiet: bool) -> Iterator["EventCallback"]:
    """Show the loss, the score of the last validation, the remaining time and the step.

    Every validation is printed with all its metrics. The score is the first of them beside the
    loss, or else the loss.
    """
    from bothways.training.runs.events import StepEvent

    score: list[str] = []

    def status(event: StepEvent) -> list[str]:
        return [
            f"{event.step / event.total_steps:4.0%}",
            f"loss {event.loss:.3g}",
            *score,
            f"{clock(event.seconds_left)} left",
            f"step {event.step:,} of {event.total_steps:,}",
            f"{event.tokens_per_second:,.0f} tokens/s",
            f"epoch {event.epoch:.1f}",
        ]

    with _display("training", quiet=quiet) as show:

        def report(event: "TrainingEvent") -> None:
            nonlocal score
            if isinstance(event, StepEvent):
                show(event.step / event.total_steps, partial(status, event))
                return
            figures = [f"{name} {value:.3g}" for name, value in event.metrics.items()]
            scores = [figure for figure in figures if not figure.startswith("loss ")]
            score = [f"held out: {figure}" for figure in (scores or figures)[:1]]
            if not quiet:
                best = ", the best so far" if event.best else ""
                note(f"training: step {event.step:,}: held out: {', '.join(figures)}{best}")

        yield report


@contextlib.contextmanager
def pull_progress(source: str, *, quiet: bool) -> Iterator[PullReport]:
    """Show the fetched bytes of a model, or nothing if it is not fetched."""

    def status(here: int, total: int | None) -> list[str]:
        return [format_bytes(here) + ("" if total is None else f" of {format_bytes(total)}")]

    with _display(f"fetching {source}", quiet=quiet) as show:
        yield lambda here, total: show(here / total if total else None, lambda: status(here, total))


Show = Callable[[float | None, Callable[[], list[str]]], None]
"""Called with the completed fraction, and the parts of the status, the most important first."""


@contextlib.contextmanager
def _display(title: str, *, quiet: bool) -> Iterator[Show]:
    if quiet:
        yield lambda fraction, status: None
    elif sys.stderr.isatty():
        with _progress_bar(title) as show:
            yield show
    else:
        with _log_lines(title) as show:
            yield show


@contextlib.contextmanager
def _log_lines(title: str) -> Iterator[Show]:
    due = time.monotonic() + _FIRST_LINE_SECONDS
    is_first = True
    pending: Callable[[], list[str]] | None = None

    def show(fraction: float | None, status: Callable[[], list[str]]) -> None:
        nonlocal due, is_first, pending
        pending = status
        if time.monotonic() >= due:
            due = time.monotonic() + _LINE_SECONDS
            is_first, pending = False, None
            note(f"{title}: {', '.join(status())}")

    yield show
    if pending is not None and not is_first:
        note(f"{title}: {', '.join(pending())}")


@contextlib.contextmanager
def _progress_bar(title: str) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns: list[ProgressColumn | str] = [
        TextColumn(title, markup=False),
        BarColumn(_BAR_COLUMNS),
        TextColumn("{task.fields[status]}", markup=False),
    ]
    console = Console(stderr=True)
    bar = Progress(*columns, console=console, transient=True, refresh_per_second=5)
    task: Any = None

    def show(fraction: float | None, status: Callable[[], list[str]]) -> None:
        nonlocal task
        if task is None:  # draw nothing before the first update
            task = bar.add_task(title, total=None, status="")
            bar.start()
        text = _fit(status(), console.width - len(title) - _BAR_COLUMNS - 2)
        bar.update(task, total=None if fraction is None else 1.0, completed=fraction, status=text)

    try:
        yield show
    finally:
        bar.stop()


def _fit(parts: list[str], columns: int) -> str:
    """As many of the first parts as fit."""
    text = ", ".join(parts)
    while len(text) > columns and len(parts) > 1:
        parts = parts[:-1]
        text = ", ".join(parts)
    return text


def clock(seconds: float) -> str:
    """A duration as minutes and seconds, such as 2:05, or with hours, such as 1:02:05."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"

"""Progress of long work: a bar on a terminal, a line every few seconds elsewhere, or nothing."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from bothways.cli.console import note
from bothways.cli.sizes import format_bytes

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

    from bothways.training.runs.events import EventCallback, ProgressEvent

__all__ = [
    "clock",
    "comparison_progress",
    "encoding_progress",
    "pull_progress",
    "stage_progress",
    "training_progress",
]

_LINE_SECONDS = 5.0

EncodingReport = Callable[[int, float | None], None]
"""Called with the number of encoded tokens, and the completed fraction if it is known."""
PullReport = Callable[[int, int | None], None]
"""Called with the number of bytes fetched, and the total if it is known."""


@contextlib.contextmanager
def encoding_progress(*, quiet: bool) -> Iterator[EncodingReport]:
    """Show tokens, tokens/s and, if the fraction is known, the remaining time."""
    started = time.monotonic()

    def status(tokens: int, fraction: float | None) -> str:
        seconds = time.monotonic() - started
        parts = [f"{tokens:,} tokens", f"{tokens / max(seconds, 1e-3):,.0f} tokens/s"]
        if fraction:
            parts = [
                f"{fraction:4.0%}",
                *parts,
                f"{clock(seconds * (1 - fraction) / fraction)} left",
            ]
        return ", ".join(parts)

    with _display("encoding", quiet=quiet) as show:
        yield lambda tokens, fraction: show(fraction, lambda: status(tokens, fraction))


@contextlib.contextmanager
def stage_progress(title: str, *, quiet: bool) -> Iterator[Callable[[float | None], None]]:
    """Show the completed fraction of some work, if it is known."""
    with _display(title, quiet=quiet) as show:
        yield lambda fraction: show(
            fraction, lambda: "" if fraction is None else f"{fraction:4.0%}"
        )


@contextlib.contextmanager
def comparison_progress(*, quiet: bool) -> Iterator[Callable[[str, float], None]]:
    """Show the current activity, the completed fraction of all work, and the remaining time."""
    started = time.monotonic()

    def status(activity: str, fraction: float) -> str:
        seconds = time.monotonic() - started
        left = f", {clock(seconds * (1 - fraction) / fraction)} left" if fraction > 0.02 else ""
        return f"{fraction:4.0%}, {activity}{left}"

    with _display("comparing", quiet=quiet) as show:
        yield lambda activity, fraction: show(fraction, lambda: status(activity, fraction))


@contextlib.contextmanager
def training_progress(*, quiet: bool) -> Iterator["EventCallback"]:
    """Show the step, loss, tokens/s, remaining time and the metrics of the last validation."""
    from bothways.training.runs.events import PrecomputingEvent, StepEvent

    metrics = ""

    def status(event: StepEvent) -> str:
        parts = [
            f"{event.step / event.total_steps:4.0%}",
            f"step {event.step:,} of {event.total_steps:,}",
            f"epoch {event.epoch:.1f}",
            f"loss {event.loss:.3g}",
            f"{event.tokens_per_second:,.0f} tokens/s",
            f"{clock(event.seconds_left)} left",
        ]
        return ", ".join([*parts, metrics] if metrics else parts)

    with _display("training", quiet=quiet) as show:

        def report(event: "ProgressEvent") -> None:
            nonlocal metrics
            if isinstance(event, PrecomputingEvent):
                share = event.done / event.total
                show(share, lambda: f"{share:4.0%}, computing the vectors of the encoder")
                return
            if isinstance(event, StepEvent):
                show(event.step / event.total_steps, partial(status, event))
                return
            figures = ", ".join(f"{name} {value:.3g}" for name, value in event.metrics.items())
            metrics = f"held out: {figures}"
            if not quiet and not sys.stderr.isatty():
                best = ", the best so far" if event.best else ""
                note(f"training: step {event.step:,}: {metrics}{best}")

        yield report


@contextlib.contextmanager
def pull_progress(source: str, *, quiet: bool) -> Iterator[PullReport]:
    """Show the fetched bytes of a model, or nothing if it is not fetched."""

    def status(here: int, total: int | None) -> str:
        return format_bytes(here) + ("" if total is None else f" of {format_bytes(total)}")

    with _display(f"fetching {source}", quiet=quiet) as show:
        yield lambda here, total: show(here / total if total else None, lambda: status(here, total))


Show = Callable[[float | None, Callable[[], str]], None]


@contextlib.contextmanager
def _display(title: str, *, quiet: bool) -> Iterator[Show]:
    if quiet:
        yield lambda fraction, status: None
    elif sys.stderr.isatty():
        with _progress_bar(title) as show:
            yield show
    else:
        yield _log_lines(title)


def _log_lines(title: str) -> Show:
    last = time.monotonic()

    def show(fraction: float | None, status: Callable[[], str]) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_SECONDS:
            last = time.monotonic()
            note(f"{title}: {status()}")

    return show


@contextlib.contextmanager
def _progress_bar(title: str) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns: list[ProgressColumn | str] = [
        TextColumn(title, markup=False),
        BarColumn(),
        TextColumn("{task.fields[status]}", markup=False),
    ]
    bar = Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=5)
    task: Any = None

    def show(fraction: float | None, status: Callable[[], str]) -> None:
        nonlocal task
        if task is None:  # draw nothing before the first update
            task = bar.add_task(title, total=None, status="")
            bar.start()
        bar.update(
            task, total=None if fraction is None else 1.0, completed=fraction, status=status()
        )

    try:
        yield show
    finally:
        bar.stop()


def clock(seconds: float) -> str:
    """A duration as minutes and seconds, such as 2:05, or with hours, such as 1:02:05."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"

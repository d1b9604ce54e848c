"""Progress of long work: a bar on a terminal, now and then a line elsewhere, nothing if quiet."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from bothways.cli.console import note
from bothways.cli.memory import readable_bytes

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

    from bothways.training.runs.events import EventCallback, TrainingEvent

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
"""Called with the tokens encoded, and the share of the work done, from 0 to 1, where known."""
PullReport = Callable[[int, int | None], None]
"""Called with the bytes fetched, and the bytes in all, where known."""


@contextlib.contextmanager
def encoding_progress(*, quiet: bool) -> Iterator[EncodingReport]:
    """Show tokens, tokens/s and, where the share is known, the time left."""
    started = time.monotonic()

    def status(tokens: int, share: float | None) -> str:
        seconds = time.monotonic() - started
        parts = [f"{tokens:,} tokens", f"{tokens / max(seconds, 1e-3):,.0f} tokens/s"]
        if share:
            parts = [f"{share:4.0%}", *parts, f"{clock(seconds * (1 - share) / share)} left"]
        return ", ".join(parts)

    with _shown("encoding", quiet=quiet) as show:
        yield lambda tokens, share: show(share, lambda: status(tokens, share))


@contextlib.contextmanager
def stage_progress(title: str, *, quiet: bool) -> Iterator[Callable[[float | None], None]]:
    """Show the share of some work that is done, where that is known."""
    with _shown(title, quiet=quiet) as show:
        yield lambda share: show(share, lambda: "" if share is None else f"{share:4.0%}")


@contextlib.contextmanager
def comparison_progress(*, quiet: bool) -> Iterator[Callable[[str, float], None]]:
    """Show what is being done, the share of all the work that is done, and the time left."""
    started = time.monotonic()

    def status(doing: str, share: float) -> str:
        seconds = time.monotonic() - started
        left = f", {clock(seconds * (1 - share) / share)} left" if share > 0.02 else ""
        return f"{share:4.0%}, {doing}{left}"

    with _shown("comparing", quiet=quiet) as show:
        yield lambda doing, share: show(share, lambda: status(doing, share))


@contextlib.contextmanager
def training_progress(*, quiet: bool) -> Iterator["EventCallback"]:
    """Show the step, loss, tokens/s and time left, and what validations find."""
    from bothways.training.runs.events import StepEvent

    found = ""

    def status(event: StepEvent) -> str:
        parts = [
            f"{event.step / event.total_steps:4.0%}",
            f"step {event.step:,} of {event.total_steps:,}",
            f"epoch {event.epoch:.1f}",
            f"loss {event.loss:.3g}",
            f"{event.tokens_per_second:,.0f} tokens/s",
            f"{clock(event.seconds_left)} left",
        ]
        return ", ".join([*parts, found] if found else parts)

    with _shown("training", quiet=quiet) as show:

        def tell(event: "TrainingEvent") -> None:
            nonlocal found
            if isinstance(event, StepEvent):
                show(event.step / event.total_steps, partial(status, event))
                return
            figures = ", ".join(f"{name} {value:.3g}" for name, value in event.metrics.items())
            found = f"held out: {figures}"
            if not quiet and not sys.stderr.isatty():
                best = ", the best so far" if event.best else ""
                note(f"training: step {event.step:,}: {found}{best}")

        yield tell


@contextlib.contextmanager
def pull_progress(source: str, *, quiet: bool) -> Iterator[PullReport]:
    """Show the bytes fetched of `source`; nothing appears if nothing has to be fetched."""

    def status(here: int, total: int | None) -> str:
        return readable_bytes(here) + ("" if total is None else f" of {readable_bytes(total)}")

    with _shown(f"fetching {source}", quiet=quiet) as show:
        yield lambda here, total: show(here / total if total else None, lambda: status(here, total))


Show = Callable[[float | None, Callable[[], str]], None]


@contextlib.contextmanager
def _shown(title: str, *, quiet: bool) -> Iterator[Show]:
    if quiet:
        yield lambda share, status: None
    elif sys.stderr.isatty():
        with _bar(title) as show:
            yield show
    else:
        yield _lines(title)


def _lines(title: str) -> Show:
    last = time.monotonic()

    def show(share: float | None, status: Callable[[], str]) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_SECONDS:
            last = time.monotonic()
            note(f"{title}: {status()}")

    return show


@contextlib.contextmanager
def _bar(title: str) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns: list[ProgressColumn | str] = [
        TextColumn(title, markup=False),
        BarColumn(),
        TextColumn("{task.fields[status]}", markup=False),
    ]
    bar = Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=5)
    task: Any = None

    def show(share: float | None, status: Callable[[], str]) -> None:
        nonlocal task
        if task is None:  # nothing is drawn before there is something to show
            task = bar.add_task(title, total=None, status="")
            bar.start()
        bar.update(task, total=None if share is None else 1.0, completed=share, status=status())

    try:
        yield show
    finally:
        bar.stop()


def clock(seconds: float) -> str:
    """Minutes and seconds, after an hour hours too: 2:05."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"

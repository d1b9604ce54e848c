"""Progress of long work: a callback, or a bar with tokens/s and time left on a terminal."""

import contextlib
from collections.abc import Callable, Iterator

__all__ = ["Progress", "show"]

Progress = Callable[[int, int], None]
"""Called with the tokens done and the tokens in all, after each batch."""


@contextlib.contextmanager
def show(progress: bool | Progress, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with the tokens of each batch done, out of `total`."""
    if progress is False:
        yield lambda _: None
    elif progress is True:
        with _bar(total) as advance:
            yield advance
    else:
        report, done = progress, 0

        def advance_callback(tokens: int) -> None:
            nonlocal done
            done += tokens
            report(done, total)

        yield advance_callback


@contextlib.contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("encoding"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %  {task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, rate="")

        def advance(tokens: int) -> None:
            bar.advance(task, tokens)
            if speed := bar.tasks[0].speed:
                bar.update(task, rate=f"{speed:,.0f} tokens/s")

        yield advance

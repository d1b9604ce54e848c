"""Progress of encoding: a callback, or a bar with tokens/s and the time left."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

__all__ = ["ProgressCallback", "show_progress"]

ProgressCallback = Callable[[int, int], None]
"""Called after each batch with the number of tokens done and the total number of tokens."""


def show_progress(
    progress: bool | ProgressCallback, total: int
) -> AbstractContextManager[Callable[[int], None]]:
    """A context with a function to call with the number of tokens of each finished batch.

    progress: True for a bar on standard error, False for nothing. total: number of tokens.
    """
    if progress is False:
        return contextlib.nullcontext(_ignore)
    if progress is True:
        return _bar(total)
    report, done = progress, 0

    def advance(tokens: int) -> None:
        nonlocal done
        done += tokens
        report(done, total)

    return contextlib.nullcontext(advance)


def _ignore(_: int) -> None:
    """Show no progress."""


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

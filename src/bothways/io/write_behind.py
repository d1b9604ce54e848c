"""Writing the results of a caller while it computes the next ones."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

__all__ = ["WriteBehind"]


class WriteBehind:
    """Makes calls one after another in a thread; at most one waits or runs at a time.

    An error of a call is raised by the next `submit` or by `wait`. Leaving the block waits for the
    call that runs.

    enabled: False to make each call at once, in the thread of the caller.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self._pool = (
            ThreadPoolExecutor(1, thread_name_prefix="bothways-write-behind") if enabled else None
        )
        self._running: Future[object] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the thread; an error of the block takes precedence over one of the call."""
        try:
            if error is None:
                self.wait()
        finally:
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)

    def submit(self, call: Callable[[], object]) -> None:
        """Make a call when the one before has ended, for which this waits."""
        if self._pool is None:
            call()
            return
        self.wait()
        self._running = self._pool.submit(call)

    def wait(self) -> None:
        """Wait for the last call to end."""
        running, self._running = self._running, None
        if running is not None:
            running.result()

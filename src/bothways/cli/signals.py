"""Signals that end the program: at once before and after a command, and as exceptions within it.

An ignored signal, such as SIGHUP under nohup, stays ignored.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

TYPE_CHECKING = False  # importing typing would delay `exit_at_signals`

if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

__all__ = [
    "SIGNAL_BASE",
    "FinishFirst",
    "Terminated",
    "describe_end",
    "exit_at_signals",
    "raise_signals",
]

SIGNAL_BASE = 128
"""Shells report a program that signal n ended as exit code 128 + n."""

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_AGAIN_SECONDS = 0.01


class _Interrupted(KeyboardInterrupt):
    """Ctrl-C. Python ends itself by SIGINT if a KeyboardInterrupt itself leaves an `exec`."""


class Terminated(BaseException):
    """A signal asked the program to stop. Like KeyboardInterrupt, it is no `Exception`."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def describe_end(number: int) -> str:
    """The message of a program that a signal ended."""
    return "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"


def exit_at_signals() -> None:
    """Let signals end the program with one line, outside of `raise_signals`.

    A program that only imports modules or ends has nothing to clean up, and an exception in one of
    its imports would be a traceback.
    """
    for number, handler in _handlers().items():
        if handler in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _exit_at_once)


@contextlib.contextmanager
def raise_signals() -> Iterator[None]:
    """Turn signals into exceptions, so that half-written files are removed.

    Raises:
        KeyboardInterrupt: at SIGINT. Terminated: at other signals. Both also in place of an error
            that the block raises after a signal: some libraries wrap the exceptions of their
            imports and callbacks.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can handle signals
        return
    received = 0

    def stop(number: int, _: "FrameType | None") -> None:
        nonlocal received
        received = number
        raise _exception(number)

    before = _handlers()
    for number, handler in before.items():
        if handler in (signal.SIG_DFL, signal.default_int_handler, _exit_at_once):
            signal.signal(number, stop)
    try:
        with _signal_again():
            yield
    except Exception as error:
        if received:
            raise _exception(received) from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class FinishFirst:
    """Within `raise_signals`, lets the first signal wait until the work at hand is finished.

    seconds_left: the time until it is, or None if that is not known. most: if it takes more
    seconds, a signal ends it at once, as a second signal does. announce: called when one waits.

    `is_stopping` says whether a signal waits; leaving the block raises it.
    """

    def __init__(
        self,
        seconds_left: "Callable[[], float | None]",
        most: float,
        announce: Callable[[], object],
    ) -> None:
        self._seconds_left, self._most, self._announce = seconds_left, most, announce
        self._before: dict[int, Any] = {}
        self._received = 0
        self._deadline = 0.0

    def __enter__(self) -> "FinishFirst":
        if threading.current_thread() is threading.main_thread():
            self._before = {n: each for n, each in _handlers().items() if callable(each)}
            for number in self._before:
                signal.signal(number, self._receive)
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._received and error is None:
            raise _exception(self._received)

    def is_stopping(self) -> bool:
        """Whether a signal waits for the end of the work at hand."""
        return self._received != 0

    def check(self) -> None:
        """Raise the signal that waits, if the work takes longer than estimated.

        Raises:
            KeyboardInterrupt, Terminated: as `raise_signals` does.
        """
        if self._received and time.monotonic() > self._deadline:
            raise _exception(self._received)

    def _receive(self, number: int, frame: "FrameType | None") -> None:
        seconds = self._seconds_left()
        if self._received or seconds is None or seconds > self._most:
            self._before[number](number, frame)
            return
        self._received = number
        self._deadline = time.monotonic() + self._most
        self._announce()


@contextlib.contextmanager
def _signal_again() -> Iterator[None]:
    """Repeat a signal whose exception Python ignores, because it was raised in a finalizer."""
    before: Callable[[Any], Any] = sys.unraisablehook
    timers: list[threading.Timer] = []

    def hook(unraisable: "Any") -> None:
        match unraisable.exc_value:
            case KeyboardInterrupt():
                number = int(signal.SIGINT)
            case Terminated() as end:
                number = end.number
            case _:
                before(unraisable)
                return
        # Now, it would be raised in this hook and ignored again.
        timers.append(threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), number)))
        timers[-1].start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in timers:
            timer.cancel()


def _handlers() -> "dict[int, Any]":
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    return {number: signal.getsignal(number) for number in numbers}


def _exception(number: int) -> BaseException:
    return _Interrupted() if number == signal.SIGINT else Terminated(number)


def _exit_at_once(number: int, _: "FrameType | None") -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"{describe_end(number)}\n".encode())
    os._exit(SIGNAL_BASE + number)

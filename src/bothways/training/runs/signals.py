"""Being asked to stop: by Ctrl-C, a scheduler's SIGTERM, or a terminal that closes."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

__all__ = ["StopRequest", "TrainingInterrupted", "catch_stop_signals"]

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")

_IMPATIENCE = 2.0
"""Seconds after which another Ctrl-C ends the program at once. Until then it is taken for the same
wish: torchrun passes on to its processes what the terminal has sent them already."""


class TrainingInterrupted(KeyboardInterrupt):
    """A signal ended the training after a step, and all that is needed to go on is saved.

    number: the signal. checkpoint: where the run was saved. Like KeyboardInterrupt, nobody should
    handle it on the way: a search over settings must not take it for a failure of one.
    """

    def __init__(self, message: str, number: int, checkpoint: Path) -> None:
        super().__init__(message)
        self.number = number
        self.checkpoint = checkpoint


class StopRequest:
    """Whether a signal has asked to stop. number: which; 0 for none."""

    def __init__(self) -> None:
        self.number = 0
        self._since = 0.0

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Take note of a signal.

        Raises:
            KeyboardInterrupt: at a further Ctrl-C, when nobody wants to wait for the step's end.
        """
        impatient = self.number and time.monotonic() - self._since > _IMPATIENCE
        if impatient and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.number:
            self.number, self._since = number, time.monotonic()


@contextlib.contextmanager
def catch_stop_signals() -> Iterator[StopRequest]:
    """Take note of signals for the length of the block, rather than be ended by them.

    One that is ignored, as SIGHUP is under nohup, stays ignored.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request  # only the main thread may handle signals
        return
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, request)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""Signals that stop a run after its current step: Ctrl-C, SIGTERM, or a closed terminal."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

__all__ = ["StopRequest", "TrainingInterrupted", "catch_stop_signals"]

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")

_SECOND_INTERRUPT_SECONDS = 2.0
"""Seconds after which another Ctrl-C ends the program at once. An earlier one counts as the same
request: torchrun forwards to its processes a signal that the terminal has already sent them."""


class TrainingInterrupted(KeyboardInterrupt):
    """A signal stopped the run after a step, and the run was saved.

    number: the signal. checkpoint: where the run was saved. It derives from KeyboardInterrupt so
    that, for example, a search over settings does not mistake it for the failure of one run.
    """

    def __init__(self, message: str, number: int, checkpoint: Path) -> None:
        super().__init__(message)
        self.number = number
        self.checkpoint = checkpoint


class StopRequest:
    """Records the first stop signal. number: the signal; 0 for none so far."""

    def __init__(self) -> None:
        self.number = 0
        self._since = 0.0

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Handle a signal.

        Raises:
            KeyboardInterrupt: at a second Ctrl-C, from a user who does not want to wait for the
                end of the step.
        """
        is_second = self.number and time.monotonic() - self._since > _SECOND_INTERRUPT_SECONDS
        if is_second and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.number:
            self.number, self._since = number, time.monotonic()


@contextlib.contextmanager
def catch_stop_signals() -> Iterator[StopRequest]:
    """Record stop signals within the block instead of ending the program.

    An ignored signal, such as SIGHUP under nohup, stays ignored.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request  # only the main thread may handle signals
        return
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, request)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

import signal
import threading
import time
from pathlib import Path

import pytest

from bothways.training.runs.signals import TrainingInterrupted, catch_stop_signals


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_is_recorded_and_does_not_end_the_program(name: str) -> None:
    number = getattr(signal, name)
    with catch_stop_signals() as stop:
        assert stop.number == 0
        signal.raise_signal(number)
        assert stop.number == number


def test_the_first_signal_counts() -> None:
    with catch_stop_signals() as stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert stop.number == signal.SIGTERM


def test_signal_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with catch_stop_signals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with catch_stop_signals() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.number == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_interrupt_after_a_while_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.monotonic() + 10
    with catch_stop_signals():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # the same wish, passed on twice
        monkeypatch.setattr(time, "monotonic", lambda: later)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_signals_are_not_handled_outside_the_main_thread() -> None:
    found = []

    def work() -> None:
        with catch_stop_signals() as stop:
            found.append(stop.number)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [0]


def test_an_interruption_is_not_an_ordinary_exception() -> None:
    error = TrainingInterrupted("stopped", signal.SIGTERM, Path("step-00000001"))
    assert not isinstance(error, Exception)
    assert isinstance(error, KeyboardInterrupt)
    assert (error.number, error.checkpoint.name) == (signal.SIGTERM, "step-00000001")

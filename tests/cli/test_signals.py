"""Signals end the program with one line and their exit code, whenever they come."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bothways.cli.signals import FinishFirst, Terminated, raise_signals

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")

PROGRAM = """
import os, signal, sys

module, name = sys.argv[1:3]
del sys.argv[1:3]

class Signal:
    def find_spec(self, found, *_):
        if found == module:
            os.kill(os.getpid(), getattr(signal, name))

sys.meta_path.insert(0, Signal())
from bothways.cli import main
main()
"""


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        ("bothways.cli.app", "SIGINT", "interrupted"),
        ("typer", "SIGTERM", "ended by SIGTERM"),
        ("bothways.cli.encode", "SIGINT", "interrupted"),
        ("bothways.files.vector_output", "SIGHUP", "ended by SIGHUP"),
        ("bothways.encoder", "SIGINT", "interrupted"),
        ("bothways.inference.session", "SIGHUP", "ended by SIGHUP"),
    ],
)
def test_a_signal_during_an_import_is_one_line(
    tmp_path: Path, module: str, name: str, message: str
) -> None:
    (tmp_path / "x.txt").write_text("one\n")
    command = ["encode", "x.txt", "-o", "o.npy", "--model", "."]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, module, name, *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (128 + signal.Signals[name], f"{message}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def import_library(number: int) -> None:
    try:
        os.kill(os.getpid(), number)
    except BaseException:
        raise ImportError("initialization failed") from None


class Finalized:
    def __del__(self) -> None:
        interrupt()


def lose_an_interrupt() -> None:
    Finalized()
    while True:
        pass


@pytest.mark.parametrize(
    ("number", "end"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_an_error_that_a_library_makes_of_a_signal_is_the_signal(
    number: int, end: type[BaseException]
) -> None:
    with pytest.raises(end), raise_signals():
        import_library(number)


def test_an_interrupt_that_a_finalizer_loses_comes_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(KeyboardInterrupt), raise_signals():
        lose_an_interrupt()
    assert capsys.readouterr().err == ""


def test_an_error_without_a_signal_is_unchanged() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ZeroDivisionError), raise_signals():
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def work(numbers: list[int], seconds_left: float | None, most: float = 30.0) -> list[str]:
    """Work that gets signals; what happened until one ends it."""
    events: list[str] = []
    finish = FinishFirst(lambda: seconds_left, most, lambda: events.append("announced"))
    try:
        with raise_signals(), finish:
            for number in numbers:
                os.kill(os.getpid(), number)
                time.sleep(0.001)
                finish.check()
                events.append(f"went on, stopping {finish.is_stopping()}")
            if not numbers:
                int("broken")
        events.append("never")
    except (KeyboardInterrupt, Terminated, ValueError) as error:
        events.append(type(error).__name__.strip("_"))
    return events


def test_the_first_signal_waits_for_short_work_and_the_second_does_not() -> None:
    first = ["announced", "went on, stopping True"]
    assert work([signal.SIGINT], 1.0) == [*first, "Interrupted"]
    assert work([signal.SIGINT, signal.SIGTERM], 1.0) == [*first, "Terminated"]


@pytest.mark.parametrize("seconds", [None, 31.0])
def test_a_signal_ends_long_work_at_once(seconds: float | None) -> None:
    assert work([signal.SIGINT], seconds) == ["Interrupted"]


def test_work_that_takes_longer_than_estimated_is_ended() -> None:
    assert work([signal.SIGTERM], 0.0, most=0.0) == ["announced", "Terminated"]


def test_an_error_of_the_work_is_raised() -> None:
    assert work([], 1.0) == ["ValueError"]

"""Progress: a bar on a terminal, lines elsewhere, nothing if quiet."""

import dataclasses
import io
import re
import sys
from collections.abc import Callable

import pytest

from bothways.cli import progress
from bothways.cli.progress import (
    encoding_progress,
    pull_progress,
    stage_progress,
    training_progress,
)
from bothways.errors import InputError
from bothways.training.runs.events import StepEvent, ValidationEvent


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], io.StringIO]:
    """Make standard error a terminal; to be called in the test, for pytest sets it before."""

    def switch() -> io.StringIO:
        screen = io.StringIO()
        monkeypatch.setattr(screen, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "120")
        return screen

    return switch


def test_without_a_terminal_lines_are_printed_at_first_every_minute_and_at_last(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with encoding_progress(quiet=False) as report:
        for second in range(1, 101):
            clock.now = 100.0 + second
            report(1000 * second, second / 100)
    assert capsys.readouterr().err.splitlines() == [
        "encoding:   5%, 5,000 tokens, 1,000 tokens/s, 1:35 left",
        "encoding:  65%, 65,000 tokens, 1,000 tokens/s, 0:35 left",
        "encoding: 100%, 100,000 tokens, 1,000 tokens/s, 0:00 left",
    ]


def test_failed_work_prints_no_last_line(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with stage_progress("reading", quiet=False) as report:
            clock.now += 6
            report(0.5)
            report(0.6)
            raise InputError("broken")

    with pytest.raises(InputError):
        work()
    assert capsys.readouterr().err == "reading:  50%\n"


def test_without_a_known_end_no_remaining_time_is_printed(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with encoding_progress(quiet=False) as report:
        clock.now += 10
        report(5000, None)
    assert capsys.readouterr().err == "encoding: 5,000 tokens, 500 tokens/s\n"


def test_long_times_are_printed_in_hours(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with encoding_progress(quiet=False) as report:
        clock.now += 60
        report(10, 0.01)
    assert capsys.readouterr().err.endswith(" 1:39:00 left\n")


def test_short_work_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with encoding_progress(quiet=False) as report:
        report(10, 1.0)
    assert capsys.readouterr().err == ""


def test_quiet_work_prints_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with encoding_progress(quiet=True) as report, pull_progress("x", quiet=True) as pulled:
        clock.now += 100
        report(10, 0.5)
        pulled(10, 20)
    assert capsys.readouterr().err == ""


def test_fetching_prints_bytes(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with pull_progress("minilm", quiet=False) as report:
        clock.now += 6
        report(45_000_000, 90_000_000)
        clock.now += 60
        report(60_000_000, None)
    assert capsys.readouterr().err.splitlines() == [
        "fetching minilm: 45 MB of 90 MB",
        "fetching minilm: 60 MB",
    ]


def test_a_terminal_shows_a_bar_with_speed_and_remaining_time(
    clock: Clock, terminal: Callable[[], io.StringIO]
) -> None:
    screen = terminal()
    with encoding_progress(quiet=False) as report:
        clock.now += 10
        report(5000, 0.5)
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert "encoding" in drawn
    assert "50%, 5,000 tokens, 500 tokens/s, 0:10 left" in drawn


def test_a_bar_is_removed_after_an_error(terminal: Callable[[], io.StringIO]) -> None:
    screen = terminal()

    class Broken(Exception):
        pass

    def work() -> None:
        with encoding_progress(quiet=False) as report:
            report(10, None)
            raise Broken

    with pytest.raises(Broken):
        work()
    shown, hidden = (screen.getvalue().rfind(code) for code in ("\x1b[?25h", "\x1b[?25l"))
    assert shown > hidden >= 0  # the cursor is back


def test_no_bar_is_drawn_if_nothing_is_fetched(terminal: Callable[[], io.StringIO]) -> None:
    screen = terminal()
    with pull_progress("minilm", quiet=False):
        pass
    assert screen.getvalue() == ""


def test_a_stage_prints_its_completed_fraction_if_known(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with stage_progress("reading", quiet=False) as report:
        report(0.1)
        clock.now += 6
        report(0.5)
    assert capsys.readouterr().err == "reading:  50%\n"


def step(number: int, total: int) -> StepEvent:
    return StepEvent(
        step=number,
        total_steps=total,
        epoch=number / 4,
        loss=0.4567,
        learning_rate=1e-3,
        gradient_norm=1.0,
        tokens=100 * number,
        tokens_per_second=1234.5,
        seconds=number,
        seconds_left=total - number,
    )


VALIDATION = ValidationEvent(
    step=2, epoch=0.5, metrics={"loss": 0.5, "accuracy": 0.91}, best=True, seconds=2.0
)


def test_training_prints_every_validation_and_a_step_per_minute(
    capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    with training_progress(quiet=False) as report:
        report(step(1, 100))
        report(VALIDATION)
        clock.now += 6
        report(step(3, 100))
    assert capsys.readouterr().err.splitlines() == [
        "training: step 2: held out: loss 0.5, accuracy 0.91, the best so far",
        "training:   3%, loss 0.457, held out: accuracy 0.91, 1:37 left, step 3 of 100, "
        "1,234 tokens/s, epoch 0.8",
    ]


def test_quiet_training_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with training_progress(quiet=True) as report:
        report(step(1, 2))
        report(VALIDATION)
    assert capsys.readouterr().err == ""


def test_a_terminal_keeps_validations_and_shows_bar_and_score_in_100_columns(
    terminal: Callable[[], io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = terminal()
    monkeypatch.setenv("COLUMNS", "100")
    with training_progress(quiet=False) as report:
        report(step(50, 100_000))
        report(VALIDATION)
        report(step(50_000, 100_000))
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    lines = [line for text in drawn.split("\n") for line in text.split("\r")]
    assert "training: step 2: held out: loss 0.5, accuracy 0.91, the best so far" in lines
    (bar,) = {line.rstrip() for line in lines if " 50%" in line}
    assert "━" * 8 in bar
    assert bar.endswith(" 50%, loss 0.457, held out: accuracy 0.91, 13:53:20 left")
    assert len(bar) <= 100


def test_the_score_of_training_without_other_metrics_is_the_loss(
    capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    with training_progress(quiet=False) as report:
        report(dataclasses.replace(VALIDATION, metrics={"loss": 0.5}))
        clock.now += 6
        report(step(3, 100))
    assert "%, loss 0.457, held out: loss 0.5, 1:37 left" in capsys.readouterr().err

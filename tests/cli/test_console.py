"""Messages and exit codes for every way in which a command can end."""

import errno
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import typer

from bothways.cli.console import note, reporting, warn
from bothways.errors import CheckpointError, DataFileError, MissingExtra
from bothways.installation import install_command


def ending(error: BaseException) -> int:
    """The exit code of a command that ends with `error`."""

    def command() -> None:
        raise error

    with pytest.raises(typer.Exit) as end:
        reporting(command)()
    return end.value.exit_code


@pytest.mark.parametrize(
    "error",
    [CheckpointError("it is broken"), DataFileError("it is broken"), OSError("it is broken")],
)
def test_an_expected_error_is_one_line_and_exit_code_1(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(error) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.endswith("it is broken\n")
    assert err.count("\n") == 1


def test_a_missing_extra_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(MissingExtra("torch", "the torch backend")) == 1
    assert install_command("torch") in capsys.readouterr().err


def test_an_error_of_the_system_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(PermissionError(errno.EACCES, os.strerror(errno.EACCES), "a.txt")) == 1
    assert capsys.readouterr().err == "error: a.txt: Permission denied\n"


def test_out_of_memory_is_an_error_that_says_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ending(MemoryError()) == 1
    assert "--max-memory" in capsys.readouterr().err


def test_an_interrupt_is_one_line_and_exit_code_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_closed_pipe_prints_no_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(BrokenPipeError()) == 141
    assert capsys.readouterr().err == ""


def test_an_unexpected_error_is_not_hidden() -> None:
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        reporting(command)()


def test_a_successful_command_is_unchanged() -> None:
    def command(number: int) -> None:
        assert number == 3

    reporting(command)(3)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signals_end_a_command_like_errors(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    number = signal.Signals[name]
    cleaned = False

    def command() -> None:
        nonlocal cleaned
        try:
            os.kill(os.getpid(), number)
        finally:
            cleaned = True

    before = signal.getsignal(number)
    with pytest.raises(typer.Exit) as end:
        reporting(command)()
    assert end.value.exit_code == 128 + number
    assert capsys.readouterr().err == f"ended by {name}\n"
    assert cleaned
    assert signal.getsignal(number) == before


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_an_ignored_signal_stays_ignored() -> None:
    def command() -> None:
        os.kill(os.getpid(), signal.SIGHUP)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        reporting(command)()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_warnings_are_printed_without_a_line_of_code(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        warnings.simplefilter("always")
        warnings.warn("mind the gap", UserWarning, stacklevel=1)

    reporting(command)()
    assert capsys.readouterr().err == "warning: mind the gap\n"


def test_no_message_controls_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    note("two\nlines\x1b[2J")
    warn("\x07")
    assert capsys.readouterr().err == "two\nlines\\x1b[2J\nwarning: \\x07\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_standard_output_is_an_error() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bothways", "pull", "."],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "error: standard output: No space left on device\n"

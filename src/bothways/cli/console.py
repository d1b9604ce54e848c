"""Messages on standard error, and the exit codes of commands."""

import contextlib
import functools
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import NoReturn, ParamSpec

import typer

from bothways.cli.signals import SIGNAL_BASE, Terminated, describe_end, raise_signals
from bothways.errors import BothwaysError
from bothways.io.printable import printable

__all__ = ["note", "reporting", "warn"]

P = ParamSpec("P")

FAILED = 1


def note(message: str) -> None:
    """Print a message on standard error."""
    lines = [printable(line) for line in message.split("\n")]
    print("\n".join(lines), file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """Print a warning on standard error."""
    note(f"warning: {message}")


def reporting(command: Callable[P, None]) -> Callable[P, None]:
    """Let a command fail with a one-line message and an exit code instead of a traceback."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with raise_signals(), _print_warnings():
                command(*args, **kwargs)
                sys.stdout.flush()
        except KeyboardInterrupt:
            _exit(SIGNAL_BASE + signal.SIGINT, describe_end(signal.SIGINT))
        except Terminated as end:
            _exit(SIGNAL_BASE + end.number, describe_end(end.number))
        except BrokenPipeError:
            _exit(SIGNAL_BASE + 13)  # SIGPIPE: the reader of the output closed it
        except MemoryError:
            _exit(FAILED, "error: out of memory; use --max-memory, or fewer --threads")
        except BothwaysError as error:
            _exit(FAILED, f"error: {error}")
        except OSError as error:
            _exit(
                FAILED, f"error: {error.filename or 'standard output'}: {error.strerror or error}"
            )

    return run


def _exit(code: int, message: str | None = None) -> NoReturn:
    if message is not None:
        with contextlib.suppress(OSError):
            note(message)
    try:
        sys.stdout.flush()
    except OSError:
        # Python flushes again at exit: redirect that to where it cannot fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(code)


@contextlib.contextmanager
def _print_warnings() -> Iterator[None]:
    """Print Python's warnings with `warn`, without the line of code that caused them."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *where: warn(str(message))
        yield

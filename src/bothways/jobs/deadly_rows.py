"""Finding the rows at which the process is killed, for example by the memory limit of the system.

Rows are encoded in forked processes: first all, then halves of those at which one died, until the
rows are single ones.
"""

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from bothways.errors import BothwaysError

__all__ = ["can_fork", "find_deadly_rows"]


def can_fork() -> bool:
    """Whether rows can be tried in forked processes."""
    return hasattr(os, "fork")


def find_deadly_rows(rows: Sequence[Any], encode: Callable[[Sequence[Any]], object]) -> list[int]:
    """The indices of the rows at which a process that encodes them dies.

    encode: encodes rows; errors that it raises are no deaths. Rows that are harmless alone, and
    deadly together, are not found.
    """
    if not rows or not _dies(rows, encode):
        return []
    if len(rows) == 1:
        return [0]
    half = len(rows) // 2
    first = find_deadly_rows(rows[:half], encode)
    return first + [half + index for index in find_deadly_rows(rows[half:], encode)]


def _dies(rows: Sequence[Any], encode: Callable[[Sequence[Any]], object]) -> bool:
    """Whether a forked process that encodes the rows ends by a signal."""
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
        child = os.fork()
    if child == 0:
        try:
            encode(rows)
        except (BothwaysError, MemoryError):
            os._exit(0)
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])

"""Locks on open files. The kernel releases them when the process ends, however it ends."""

import errno
import os
import sys
from pathlib import Path

__all__ = ["is_same_file", "try_lock"]

_IN_USE = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False if another process or thread has the lock.

    Raises:
        OSError: on a file system without locks.
    """
    try:
        _lock(descriptor)
    except OSError as error:
        if error.errno in _IN_USE:
            return False
        raise
    return True


def is_same_file(descriptor: int, path: Path) -> bool:
    """Whether `path` is still the name of the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

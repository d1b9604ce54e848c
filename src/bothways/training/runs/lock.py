"""A lock on a run's folder, held for as long as a process trains in it.

The kernel releases the lock when the process ends, however it ends.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from bothways.errors import DataFileError
from bothways.io.atomic import new_folder, wrap_write_errors
from bothways.io.locks import is_same_file, try_lock

__all__ = ["LOCK_FILE", "run_lock"]

LOCK_FILE = ".lock"

_holders: dict[Path, int] = {}
"""The thread of this process that holds each folder: it may enter the lock again."""


@contextlib.contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold a folder, which is created if needed, while the block runs.

    The lock's file is removed in the end, and the folder too if nothing else was created.

    Raises:
        DataFileError: if another process or thread holds the folder, or it cannot be written.
    """
    key = folder.absolute()
    if _holders.get(key) == threading.get_ident():
        yield
        return
    with contextlib.ExitStack() as stack:
        with wrap_write_errors(folder):
            stack.enter_context(new_folder(folder))
        descriptor = _acquire(folder)
        _holders[key] = threading.get_ident()
        try:
            yield
        finally:
            del _holders[key]
            with contextlib.suppress(OSError):  # Windows removes no open file
                (folder / LOCK_FILE).unlink()
            os.close(descriptor)


def _acquire(folder: Path) -> int:
    """Open and lock the file; one that its holder has removed meanwhile is opened again."""
    path = folder / LOCK_FILE
    while True:
        with wrap_write_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            is_free = try_lock(descriptor)
        except OSError:  # a file system without locks
            return descriptor
        if not is_free:
            os.close(descriptor)
            raise DataFileError(
                f"{folder}: another process is training in this folder; wait until it ends, or "
                "choose another folder"
            )
        if is_same_file(descriptor, path):
            return descriptor
        os.close(descriptor)

"""Leases: which worker is at a shard, and how often workers died at it.

A lease is a file that the worker creates, locks and touches every half minute. Where the file
system has locks, they tell at once that a worker has died; for a worker on another machine, whose
locks may not be visible, its lease must also be older than ten minutes. Two workers at one shard do
no harm: both write the same bytes.
"""

import contextlib
import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from bothways.io.atomic import wrap_write_errors
from bothways.io.locks import is_same_file, try_lock

__all__ = ["Lease", "is_live", "read_lease"]

_BEAT_SECONDS = 30.0
STALE_SECONDS = 600.0
_NEW_SECONDS = 5.0
"""How long an empty lease may be that of a worker that is about to write and lock it."""


class Lease:
    """The lease of a shard, held until `release`.

    attempt: 1 if no worker died at the shard before.
    """

    def __init__(self, path: Path, descriptor: int, attempt: int) -> None:
        self.path, self.attempt = path, attempt
        self._descriptor = descriptor
        self._released = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    @classmethod
    def acquire(cls, path: Path, *, assigned: bool = False) -> "Lease | None":
        """Take a lease, also that of a worker that died; None if another worker holds it.

        assigned: whether no worker on another machine works on the shard, so that a lease of one
            is that of a dead one whatever its age.

        Raises:
            WriteFailed: if the lease cannot be written.
        """
        with wrap_write_errors(path):
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
                attempt = 1
            except FileExistsError:
                taken = _take_over(path, assigned=assigned)
                if taken is None:
                    return None
                descriptor, attempt = taken
            else:
                with contextlib.suppress(OSError):  # without locks, the time of the file decides
                    try_lock(descriptor)
            holder = {"host": _host(), "pid": os.getpid(), "attempt": attempt}
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, json.dumps(holder).encode())
            os.fsync(descriptor)
        return cls(path, descriptor, attempt)

    def release(self) -> None:
        """Give the lease back: the shard is done, or the worker stops."""
        self._released.set()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _beat(self) -> None:
        while not self._released.wait(_BEAT_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(self.path)


def is_live(path: Path) -> bool:
    """Whether a worker seems to hold the lease at `path`."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return _holder_lives(descriptor, assigned=False)
    finally:
        os.close(descriptor)


def read_lease(path: Path) -> dict[str, Any]:
    """The host, process id and attempt in a lease; empty if it cannot be read."""
    try:
        return _parse(path.read_bytes())
    except OSError:
        return {}


def _take_over(path: Path, *, assigned: bool) -> tuple[int, int] | None:
    """Open and lock the lease of a dead worker, and count the attempt; None if it may live."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None  # released just now; the shard is done, or free for the next round
    attempt = None
    try:
        if not _holder_lives(descriptor, assigned=assigned) and is_same_file(descriptor, path):
            attempt = _read(descriptor).get("attempt", 0) + 1
    finally:
        if attempt is None:
            os.close(descriptor)
    return None if attempt is None else (descriptor, attempt)


def _holder_lives(descriptor: int, *, assigned: bool) -> bool:
    """Whether the holder of an open lease lives. If not, the lease is locked now."""
    has_locks = True
    try:
        if not try_lock(descriptor):
            return True
    except OSError:
        has_locks = False
    age = time.time() - os.fstat(descriptor).st_mtime
    holder = _read(descriptor)
    if not holder:
        return age < _NEW_SECONDS
    if has_locks and (assigned or holder.get("host") == _host()):
        return False
    return age < STALE_SECONDS


def _read(descriptor: int) -> dict[str, Any]:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return _parse(os.read(descriptor, 4096))


def _parse(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        return {}
    is_lease = isinstance(value, dict) and isinstance(value.get("attempt"), int)
    return value if is_lease else {}


def _host() -> str:
    """The machine: containers with equal host names have other process ids."""
    name = socket.gethostname()
    with contextlib.suppress(OSError):
        name += " " + str(Path("/proc/self/ns/pid").readlink())
    return name

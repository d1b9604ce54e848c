"""A disk that fails, and one that loses what was not flushed when the power is cut."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bothways.files.sink import Sink
from bothways.io import atomic

__all__ = ["FaultyDisk", "PowerCut", "cut_at", "fail_with"]


class PowerCut(BaseException):
    """The power is cut."""


class FaultyDisk:
    """Counts writes, flushes and renames of `bothways.io.atomic`, and interferes with one of them.

    interfere: called with the number of each operation, from 0, before it is done.
    """

    def __init__(self, patch: pytest.MonkeyPatch, interfere: Callable[[int], object]) -> None:
        self._interfere = interfere
        self.operations = 0
        self._flushed: set[int] = set()  # inodes
        self._renames: list[tuple[Path, bytes | None, bool]] = []
        self._sync, self._write = atomic._sync, Sink.write
        replace = Path.replace

        def sync(path: Path) -> None:
            self._count()
            self._sync(path)
            if path.is_dir():
                self._renames = [each for each in self._renames if each[0].parent != path]
            else:
                self._flushed.add(path.stat().st_ino)

        def rename(source: Path, target: Path) -> Path:
            self._count()
            before = target.read_bytes() if target.exists() else None
            self._renames.append((target, before, source.stat().st_ino in self._flushed))
            return replace(source, target)

        def write(sink: Sink, data: Any) -> int:
            with atomic.wrap_write_errors(sink._name):
                self._count()
            return self._write(sink, data)

        patch.setattr(atomic, "_sync", sync)
        patch.setattr(Path, "replace", rename)
        patch.setattr(Sink, "write", write)

    def _count(self) -> None:
        number, self.operations = self.operations, self.operations + 1
        self._interfere(number)

    def lose(self) -> None:
        """Undo the renames of folders that were not flushed, and empty files that were not."""
        for target, before, flushed in reversed(self._renames):
            if before is None:
                target.unlink(missing_ok=True)
            else:
                target.write_bytes(before)
            assert flushed, f"{target} was renamed before it was flushed"
        self._renames.clear()


def fail_with(number: int, code: int) -> Callable[[int], None]:
    """Let one operation fail with an error code."""

    def interfere(operation: int) -> None:
        if operation == number:
            raise OSError(code, os.strerror(code))

    return interfere


def cut_at(number: int) -> Callable[[int], None]:
    """Cut the power before one operation."""

    def interfere(operation: int) -> None:
        if operation == number:
            raise PowerCut

    return interfere

"""A file that appears under its name only when it is whole."""

import contextlib
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from bothways.errors import DataFileError

__all__ = ["PendingFile", "check_output"]


def check_output(path: Path, *, overwrite: bool) -> None:
    """Raise if `path` is taken, or could not be written for want of a folder.

    Raises:
        DataFileError: saying what to do.
    """
    if path.is_dir():
        raise DataFileError(f"{path}: is a directory; give the name of a file")
    if not path.parent.is_dir():
        raise DataFileError(f"{path}: there is no directory {str(path.parent)!r}; create it first")
    if path.exists() and not path.is_file():
        raise DataFileError(f"{path}: is not a regular file")
    if path.exists() and not overwrite:
        raise DataFileError(f"{path}: exists; allow it to be replaced with --overwrite")


class PendingFile:
    """Writes to a hidden file beside `path`, which takes its name when the block ends well.

    The hidden file is made on entering the block, so that a place that cannot be written to is
    found then. It is flushed to the disk before it takes the name, and removed if anything goes
    wrong.

    Raises:
        DataFileError: if the name is taken and not to be overwritten, or the place is not writable.
    """

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        check_output(path, overwrite=overwrite)
        self.path = path
        self._target = Path(os.path.realpath(path))  # a link stays a link
        self._overwrite = overwrite
        self._hidden = self._target.with_name(f".{self._target.name}.{secrets.token_hex(4)}.part")

    def __enter__(self) -> Self:
        """Make the hidden file."""
        try:
            self.file: BinaryIO = self._hidden.open("xb")
        except OSError as error:
            raise DataFileError(f"{self.path}: cannot be written: {error.strerror}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the file its name, or remove it."""
        try:
            if kind is None:
                self._take_name()
        except OSError as failure:
            raise write_error(str(self.path), failure) from failure
        finally:
            self._remove()

    def _take_name(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        check_output(self.path, overwrite=self._overwrite)  # another program may have been faster
        self._hidden.replace(self._target)
        _sync_folder(self._target.parent)

    def _remove(self) -> None:
        with contextlib.suppress(OSError):  # a full disk: what cannot be flushed goes too
            self.file.close()
        self._hidden.unlink(missing_ok=True)


def write_error(name: str, error: OSError) -> DataFileError:
    """What to say when writing the file called `name` has failed."""
    if isinstance(error, DataFileError):
        return error
    return DataFileError(f"{name}: writing failed: {error.strerror or error}; nothing was kept")


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` outlast a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

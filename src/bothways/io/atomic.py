"""Files and folders that appear under their names only when they are whole and on the disk."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from bothways.errors import DataFileError

__all__ = [
    "WritingFailed",
    "is_partial",
    "new_folder",
    "remove_partial",
    "replaced_file",
    "replaced_files",
    "writing",
]

_PARTIAL = ".partial"


class WritingFailed(DataFileError):
    """A file of the run could not be written: a full disk, say. The message names it."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file in what is raised where it cannot be written: a full disk, say.

    Raises:
        WritingFailed: in place of an OSError, or of what safetensors makes of one.
    """
    try:
        yield
    except WritingFailed:
        raise
    except OSError as error:
        raise WritingFailed(f"{path}: writing failed: {error.strerror or error}") from error
    except SafetensorError as error:
        raise WritingFailed(f"{path}: writing failed: {error}") from error


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a hidden folder to fill, which takes the name `path` if the block ends well.

    A folder that already has the name must be empty.
    """
    with writing(path), _hidden(path) as hidden:
        hidden.mkdir(parents=True)
        yield hidden
        for file in hidden.rglob("*"):
            _sync(file)
        _sync(hidden)
        if path.is_dir():
            path.rmdir()  # empty; only some systems rename a folder onto an empty one
        hidden.rename(path)
        _sync(path.parent)


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yield the name of a hidden file to write, which replaces `path` if the block ends well."""
    with writing(path), _hidden(path) as hidden:
        yield hidden
        _sync(hidden)
        hidden.replace(path)
        _sync(path.parent)


@contextlib.contextmanager
def replaced_files(folder: Path, *, last: str) -> Iterator[Path]:
    """Yield a hidden folder to fill, whose files then replace those of their names in `folder`.

    The file called `last` comes last. Each is whole at all times.
    """
    with writing(folder), _hidden(folder / "model") as hidden:
        hidden.mkdir()
        yield hidden
        files = sorted(hidden.iterdir(), key=lambda file: file.name == last)
        for file in files:
            _sync(file)
        for file in files:
            file.replace(folder / file.name)
        _sync(folder)


def _sync(path: Path) -> None:
    """Make a file, or the names in a folder, outlast a power cut, where the system can."""
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_partial(path: Path) -> bool:
    """Whether a file or folder is what a writer that was killed has left."""
    return path.name.startswith(".") and path.name.endswith(_PARTIAL)


def remove_partial(folder: Path) -> None:
    """Remove what writers that were killed have left in a folder."""
    for path in filter(is_partial, list(folder.iterdir())):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _hidden(path: Path) -> Iterator[Path]:
    """A name beside `path` that nobody has; what bears it in the end is removed."""
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_PARTIAL}")
    try:
        yield hidden
    finally:
        with contextlib.suppress(OSError):
            if hidden.is_dir():
                shutil.rmtree(hidden, ignore_errors=True)
            else:
                hidden.unlink(missing_ok=True)

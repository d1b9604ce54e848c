"""Atomic writes: files and folders appear under their names only when they are complete.

Content goes to a hidden temporary name in the same folder. When the block ends without an error,
the content is flushed to disk (fsync), renamed, and the rename itself is flushed. A crash or power
cut leaves the old content or the new, never a part of either. What a killed process left under a
temporary name is removed when the same name is written again.

Written files get the permissions of the umask, also where a library creates them with fewer.
"""

import contextlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from safetensors import SafetensorError

from bothways.errors import DataFileError
from bothways.io.locks import is_same_file, try_lock

__all__ = [
    "WriteFailed",
    "atomic_file",
    "atomic_files",
    "atomic_folder",
    "is_partial",
    "new_folder",
    "open_atomic",
    "publish_folder",
    "remove_partial",
    "wrap_write_errors",
]

_PARTIAL = ".partial"


class WriteFailed(DataFileError):
    """A file could not be written, for example because the disk is full. The message names it."""


@contextlib.contextmanager
def wrap_write_errors(path: Path | str) -> Iterator[None]:
    """Raise write errors of the block as `WriteFailed`, with the name of the file.

    Raises:
        WriteFailed: in place of an OSError, or of the error in which safetensors wraps one.
        BrokenPipeError: unchanged, as it says that the reader is done, not that writing failed.
    """
    try:
        yield
    except (DataFileError, BrokenPipeError):
        raise
    except OSError as error:
        raise WriteFailed(f"{path}: writing failed: {error.strerror or error}") from error
    except SafetensorError as error:
        raise WriteFailed(f"{path}: writing failed: {error}") from error


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file to write, which replaces `path` after the block.

    The temporary file exists (empty) when the block starts. If `path` is a symbolic link, the file
    that it points to is replaced.

    Raises:
        WriteFailed: if the file cannot be written; also for an OSError in the block.
    """
    with wrap_write_errors(path), _replacement(path) as temporary:
        yield temporary


@contextlib.contextmanager
def open_atomic(path: Path, *, before_rename: Callable[[], None]) -> Iterator[BinaryIO]:
    """Yield a binary file to write, which replaces `path` after the block.

    before_rename: called when the content is complete; an error that it raises leaves `path` alone.

    Raises:
        WriteFailed: if the file cannot be created, flushed or renamed.
    """
    with _replacement(path, before_rename) as temporary:
        file = temporary.open("wb")
        try:
            yield file
            with wrap_write_errors(path):
                file.flush()
        finally:
            # Closing flushes. On a full disk that fails again, and must not hide the first error.
            with contextlib.suppress(OSError):
                file.close()


@contextlib.contextmanager
def _replacement(path: Path, before_rename: Callable[[], None] | None = None) -> Iterator[Path]:
    """As `atomic_file`; errors of the block are raised unchanged."""
    target = _resolve(path)
    with contextlib.ExitStack() as stack:
        with wrap_write_errors(path):
            temporary = stack.enter_context(_temporary_path(target, _create_file))
            mode = stat.S_IMODE(temporary.stat().st_mode)
        yield temporary
        with wrap_write_errors(path):
            _set_mode(temporary, mode)
            _sync(temporary)
            if before_rename is not None:
                before_rename()
            temporary.replace(target)
            _sync(target.parent)


@contextlib.contextmanager
def atomic_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary folder to fill, which is renamed to `path` after the block.

    replace: whether a folder that exists at `path` is replaced; otherwise it must be empty.

    Raises:
        WriteFailed: if the folder cannot be written.
    """
    target = _resolve(path)
    with (
        wrap_write_errors(path),
        new_folder(target.parent),
        _temporary_path(target, Path.mkdir) as temporary,
        _temporary_path(target, Path.mkdir) if replace else contextlib.nullcontext() as old,
    ):
        yield temporary
        if os.name != "posix":  # only POSIX renames onto an empty folder
            if old is not None:
                old.rmdir()
            elif target.is_dir():
                target.rmdir()
        publish_folder(temporary, target, displaced=old)


@contextlib.contextmanager
def atomic_files(folder: Path, *, last: str) -> Iterator[Path]:
    """Yield a temporary folder to fill; each of its files then replaces its namesake in `folder`.

    Each file is replaced atomically; the group is not. The file called `last` is replaced last, so
    that readers can take it as the sign that the others are complete.

    Raises:
        WriteFailed: if a file cannot be written.
    """
    with wrap_write_errors(folder), _temporary_path(folder / "model", Path.mkdir) as temporary:
        yield temporary
        files = sorted(temporary.iterdir(), key=lambda file: file.name == last)
        mode = _default_file_mode(temporary)
        for file in files:
            _set_mode(file, mode)
            _sync(file)
        for file in files:
            file.replace(folder / file.name)
        _sync(folder)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[None]:
    """Create a folder and its parents; those that are new and still empty go after the block.

    Raises:
        OSError: if it cannot be created.
    """
    created = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for folder in created:
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()


def publish_folder(source: Path, target: Path, *, displaced: Path | None = None) -> None:
    """Flush a complete folder to disk and rename it to `target`, on the same file system.

    Its files get the permissions of the umask.

    displaced: where a folder that exists at `target` is moved to, right before the rename; it is
        moved back if that fails.

    Raises:
        OSError: if `target` exists, is not empty and is not displaced, or the disk fails.
    """
    mode = _default_file_mode(source)
    for folder, _, names in os.walk(source, topdown=False):
        for file in (Path(folder, name) for name in names):
            _set_mode(file, mode)
            _sync(file)
        _sync(Path(folder))
    is_displaced = displaced is not None and target.exists()
    if displaced is not None and is_displaced:
        target.rename(displaced)
    try:
        source.rename(target)
    except OSError:
        if displaced is not None and is_displaced:
            displaced.rename(target)
        raise
    _sync(target.parent)


def is_partial(path: Path) -> bool:
    """Whether a file or folder is the temporary one of a writer that was killed."""
    return path.name.startswith(".") and path.name.endswith(_PARTIAL)


def remove_partial(folder: Path, name: str | None = None) -> None:
    """Remove the temporary files and folders that killed writers left in a folder.

    Those of writers that still run are locked, and stay.

    name: only those of the file or folder with this name; None for all.
    """
    pattern = ".+" if name is None else rf"\.{re.escape(name)}\.[0-9a-f]{{8}}"
    for path in list(folder.iterdir()):
        if is_partial(path) and re.fullmatch(pattern + re.escape(_PARTIAL), path.name):
            _remove_unless_locked(path)


def _remove_unless_locked(path: Path) -> None:
    if os.name != "posix":
        _remove(path)
        return
    try:
        descriptor = _open(path)
    except OSError:  # removed meanwhile, or not ours to remove
        return
    try:
        if try_lock(descriptor) and is_same_file(descriptor, path):
            _remove(path)
    except OSError:  # a file system without locks: its writer may be running
        return
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _temporary_path(path: Path, create: Callable[[Path], None]) -> Iterator[Path]:
    """Create an unused hidden name beside `path`; what has that name after the block is removed.

    It is locked, so that the next writer of `path` removes it only if this process was killed.
    """
    temporary, lock = path, None
    try:
        while lock is None:
            temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_PARTIAL}")
            create(temporary)
            if os.name != "posix":
                break
            lock = _lock(temporary)
        if lock is not None:
            with contextlib.suppress(OSError):  # a folder that may not be listed
                remove_partial(path.parent, path.name)
        yield temporary
    finally:
        if temporary != path:
            with contextlib.suppress(OSError):
                _remove(temporary)
        if lock is not None:
            os.close(lock)


def _lock(temporary: Path) -> int | None:
    """Open and lock a file or folder; None if another writer removed it before it was locked."""
    try:
        descriptor = _open(temporary)
    except FileNotFoundError:
        return None
    with contextlib.suppress(OSError):  # without locks, no partial file is removed
        try_lock(descriptor)
    if is_same_file(descriptor, temporary):
        return descriptor
    os.close(descriptor)
    return None


def _open(path: Path) -> int:
    """Open a file or folder for locking; links are not followed, and a pipe does not block."""
    mode = os.O_RDONLY if path.is_dir() else os.O_RDWR
    return os.open(path, mode | os.O_NOFOLLOW | os.O_NONBLOCK)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _create_file(path: Path) -> None:
    path.open("xb").close()


def _resolve(path: Path) -> Path:
    """The path behind symbolic links, so that a link stays a link."""
    return Path(os.path.realpath(path))


def _default_file_mode(folder: Path) -> int:
    """The mode of a new file, by the umask that was in force when the folder was created."""
    return stat.S_IMODE(folder.stat().st_mode) & 0o666


def _set_mode(path: Path, mode: int) -> None:
    if stat.S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)


def _sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to disk, where the system supports it."""
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

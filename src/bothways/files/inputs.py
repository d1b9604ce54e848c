"""The files that the inputs of a command name: files, directories and patterns."""

import glob
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bothways.errors import DataFileError
from bothways.files.formats import (
    STDIN,
    FileOptions,
    InputFile,
    format_of,
    require_parquet,
    resolve_input,
)

__all__ = ["any_file", "check_inputs", "check_readable", "find_files", "has_known_suffix"]


def any_file(_path: str) -> bool:
    """Whether a file in a directory is read: always."""
    return True


def has_known_suffix(path: str) -> bool:
    """Whether a path shows the format of the file."""
    return format_of(path) is not None


def check_inputs(
    sources: Sequence[str | InputFile],
    options: FileOptions | None = None,
    *,
    note: Callable[[str], object] = lambda _: None,
) -> list[InputFile]:
    """Find the files of all inputs and check them without reading them, before a model is loaded.

    sources: see `find_files`. Files that this function returned are returned unchanged.
    note: called with what the user should know: files that are left out, and detected formats.

    Raises:
        DataFileError: if a file is missing, unreadable or of an unknown format, if a directory or
            pattern has no file, or if standard input is given twice.
        MissingExtra: for .parquet and .arrow, if pyarrow is not installed.
    """
    options = options or FileOptions()
    if list(sources).count(STDIN) > 1:
        raise DataFileError("standard input (-) can be read only once")
    takes_any = options.per_file or options.input_format is not None
    files = []
    for source in sources:
        if isinstance(source, InputFile):
            files.append(source)
            continue
        for path in find_files(source, any_file if takes_any else has_known_suffix, note):
            if path != STDIN:
                check_readable(path)
            file = resolve_input(path, options)
            if file.detected:
                note(f"{path}: read as {file.format}, by its content")
            if file.format in ("parquet", "arrow"):
                require_parquet(file.name)
            files.append(file)
    return files


def find_files(
    source: str,
    can_read: Callable[[str], bool] = any_file,
    note: Callable[[str], object] = lambda _: None,
) -> list[str]:
    """The files that an input names, sorted by their paths.

    source: a file or `-`; a directory, for the files in it; or a pattern such as `data/*.csv`, in
        which `**` stands for directories of any depth. Names that begin with a dot are skipped in
        directories and patterns.
    can_read: whether a file in a directory, by its path, is one to read.
    note: called with the files that are left out.

    Raises:
        DataFileError: if a directory or pattern has no file to read.
    """
    if source == STDIN or not _names_several(source):
        return [source]
    if not Path(source).is_dir():
        paths = _matches(source)
        if not paths:
            raise DataFileError(f"{source}: no file matches this pattern")
        return paths
    files = list(_files_in(source))
    paths = [path for path in files if can_read(path)]
    left_out = [path for path in files if not can_read(path)]
    if not paths:
        others = f"; of another format: {_some_names(left_out)}" if left_out else ""
        raise DataFileError(
            f"{source}: the directory has no file of a supported format{others}; a pattern such as "
            f"'{Path(source) / '**' / '*.txt'}' also finds files in directories below it"
        )
    if left_out:
        note(f"{source}: left out files of other formats: {_some_names(left_out)}")
    return paths


def check_readable(source: str) -> None:
    """Raise unless `source` is a readable file or pipe.

    Raises:
        DataFileError: with the reason.
    """
    path = Path(source)
    if path.is_dir():
        raise DataFileError(f"{source}: is a directory; give the files in it")
    try:
        if path.is_fifo():
            return  # opening and closing a pipe would end its writer
        path.open("rb").close()
    except FileNotFoundError as error:
        raise DataFileError(f"{source}: no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataFileError(f"{source}: cannot be read: {error}") from error


def _names_several(source: str) -> bool:
    """Whether an input is a directory or a pattern: a file's own name may look like a pattern."""
    try:
        return Path(source).is_dir() or (glob.has_magic(source) and not Path(source).exists())
    except (OSError, ValueError):  # a NUL in the name, or a name that is too long
        return False


def _matches(pattern: str) -> list[str]:
    # Path.glob needs a directory to start from, and finds hidden files.
    paths = glob.glob(pattern, recursive=True)  # noqa: PTH207
    return sorted(path for path in paths if Path(path).is_file())


def _files_in(directory: str) -> Iterator[str]:
    try:
        names = sorted(path.name for path in Path(directory).iterdir() if path.is_file())
    except OSError as error:
        raise DataFileError(f"{directory}: cannot be read: {error}") from error
    return (str(Path(directory) / name) for name in names if not name.startswith("."))


def _some_names(paths: Sequence[str]) -> str:
    names = [Path(path).name for path in itertools.islice(paths, 3)]
    more = f" and {len(paths) - 3:,} more" if len(paths) > 3 else ""
    return ", ".join(names) + more

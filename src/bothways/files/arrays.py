"""Series from NumPy files: .npy with one array, .npz with arrays by name.

An array (length, channels), or (length,) for one channel, is a series; (n, length, channels) is n
series.
"""

import contextlib
import zipfile
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np

from bothways.errors import DataFileError
from bothways.files.formats import InputFile, explain_size
from bothways.files.rows import Place, ReadProgress
from bothways.model.inputs import InputKind

__all__ = ["read_arrays"]


def read_arrays(
    file: InputFile, read_progress: ReadProgress, kind: InputKind
) -> Generator[tuple[str | None, np.ndarray, Place]]:
    """Yield the id, values, float64 (length, channels), and place of each series.

    The id of a series in .npz is the name of its array; with `/` and its index if the array holds
    several. In .npy it is None.

    Raises:
        DataFileError: if the file is damaged, or an array is not of numbers or has another shape;
            if the model does not read series.
    """
    if kind != "series":
        raise DataFileError(
            f"{file.name}: .{file.format} files hold series, and this model reads {kind}"
        )
    row = 0
    with _naming_errors(file):
        for name, array in _arrays(file):
            place = Place(file.name, row + 1, field=name)
            for index, series in enumerate(_series_of(array, place)):
                row += 1
                if series.nbytes > file.max_row_size:
                    raise DataFileError(f"{place}: {explain_size('a series', file.max_row_size)}")
                id_ = f"{name}/{index}" if name is not None and array.ndim == 3 else name
                yield id_, series.astype(np.float64), Place(file.name, row, field=name)
    size = Path(file.source).stat().st_size
    read_progress.follow(lambda: size)
    read_progress.finish_file()


def _arrays(file: InputFile) -> Iterator[tuple[str | None, np.ndarray]]:
    if file.format == "npy":
        yield None, np.load(file.source, mmap_mode="r", allow_pickle=False)
        return
    with Path(file.source).open("rb") as source:
        if not zipfile.is_zipfile(source):
            raise DataFileError(f"{file.name}: damaged, truncated or not a .npz file")
        source.seek(0)
        archive = np.load(source, allow_pickle=False)
        for name in archive.files:
            yield name, archive[name]


def _series_of(array: np.ndarray, place: Place) -> Iterator[np.ndarray]:
    """The series in an array, as views of shape (length, channels)."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        type_ = getattr(array, "dtype", "bytes")
        raise DataFileError(f"{place}: holds {type_}; expected numbers")
    match array.ndim:
        case 1:
            yield array[:, None]
        case 2:
            yield array
        case 3:
            yield from array
        case _:
            raise DataFileError(
                f"{place}: has shape {array.shape}; expected (length, channels), or "
                "(n, length, channels) for n series"
            )


@contextlib.contextmanager
def _naming_errors(file: InputFile) -> Iterator[None]:
    """Raise the errors of NumPy's readers as `DataFileError`: it has no common class for them."""
    if Path(file.source).stat().st_size == 0:
        raise DataFileError(f"{file.name}: empty; not a .{file.format} file")
    try:
        yield
    except (DataFileError, MemoryError):
        raise
    except Exception as error:
        # a damaged header is parsed as Python: SyntaxError, tokenize.TokenError, TypeError and more
        raise DataFileError(
            f"{file.name}: damaged, truncated or not a .{file.format} file of numbers: {error}"
        ) from error

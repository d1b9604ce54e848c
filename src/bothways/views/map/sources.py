"""What a map is made of: vectors with ids, texts and columns, from a file or from arrays.

n points; d dimensions.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bothways.errors import DataFileError, InputError
from bothways.files.columns import format_names
from bothways.files.nearest import check_finite
from bothways.files.vector_file import VectorFile, open_vector_file
from bothways.views.map.columns import MapColumn, parse_column

__all__ = ["MapPoints", "read_arrays", "read_file"]


class MapPoints(NamedTuple):
    """The points of a map before they are placed.

    vectors: float32 (n, d). rows: the number of each in the file, from 0, int64 (n,).
    total: number of rows of the file, from which the points are drawn.
    model: the name of the model that made the vectors; None if that is unknown.
    """

    vectors: np.ndarray
    rows: np.ndarray
    total: int
    ids: list[str]
    texts: list[str | None]
    columns: tuple[MapColumn, ...]
    model: str | None


def read_file(
    path: str | os.PathLike[str], columns: Sequence[str], points: int, seed: int
) -> MapPoints:
    """The vectors of a file or a folder, at most `points` of them, drawn at random.

    Raises:
        DataFileError: if the file is damaged or has no such column, or a vector holds NaN or
            infinity.
        InputError: if a column holds lists or objects.
        MissingExtra: for .parquet, if pyarrow is not installed.
    """
    with open_vector_file(os.fspath(path), trust=True) as file:
        if missing := [name for name in columns if name not in file.columns]:
            raise DataFileError(
                f"{file.name}: no column {missing[0]!r}; it has {format_names(file.columns)}"
            )
        vectors, rows, total = _draw(file, points, seed)
        chosen = np.zeros(total, bool)
        chosen[rows] = True
        names = file.ids_and_texts(rows)
        return MapPoints(
            vectors,
            rows,
            total,
            [names[row][0] for row in rows.tolist()],
            [names[row][1] for row in rows.tolist()],
            tuple(_read_column(file, name, chosen) for name in columns),
            None if file.origin is None else file.origin.model,
        )


def _read_column(file: VectorFile, name: str, chosen: np.ndarray) -> MapColumn:
    cells = (
        value for value, keep in zip(file.read_column(name), chosen.tolist(), strict=True) if keep
    )
    return parse_column(name, cells, f"{file.name}, column {name!r}")


def _draw(file: VectorFile, points: int, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The vectors and numbers of rows drawn without replacement, and how many rows there are.

    One pass, with at most twice as many vectors in memory: each row gets a random key, and the rows
    with the smallest keys stay.
    """
    rng = np.random.default_rng(seed)
    vectors = np.empty((0, file.dimensions or 1), np.float32)
    rows, keys = np.empty(0, np.int64), np.empty(0)
    total = 0
    for batch in _blocks(file, points):
        numbers = np.arange(total, total + len(batch))
        check_finite(batch, numbers, file.name)
        total += len(batch)
        vectors = np.concatenate([vectors, batch])
        rows, keys = np.concatenate([rows, numbers]), np.concatenate([keys, rng.random(len(batch))])
        if len(rows) > points:
            kept = np.sort(np.argpartition(keys, points - 1)[:points])
            vectors, rows, keys = vectors[kept], rows[kept], keys[kept]
    return vectors, rows, total


def _blocks(file: VectorFile, points: int) -> Iterator[np.ndarray]:
    """The vectors of a file in blocks of about `points` rows, fewer at the end."""
    held: list[np.ndarray] = []
    for batch in file.batches():
        held.append(batch.copy())
        if sum(map(len, held)) >= points:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)


def read_arrays(
    vectors: Any,
    ids: Sequence[Any] | None,
    texts: Sequence[str | None] | None,
    columns: Mapping[str, Sequence[Any]],
    points: int,
    seed: int,
) -> MapPoints:
    """The same from arrays.

    Raises:
        InputError: if they do not have the right shape, or a vector holds NaN or infinity.
    """
    array = np.asarray(getattr(vectors, "vectors", vectors))
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise InputError(
            f"vectors: expected an array of numbers with two axes, found {array.dtype} of shape "
            f"{array.shape}"
        )
    total = len(array)
    named = [("ids", ids), ("texts", texts), *columns.items()]
    for name, values in named:
        if values is not None and len(values) != total:
            raise InputError(f"{name}: has {len(values)} items for {total} vectors")
    rows = np.arange(total)
    if total > points:
        rows = np.sort(np.argpartition(np.random.default_rng(seed).random(total), points)[:points])
    with np.errstate(over="ignore"):
        chosen = np.asarray(array[rows], np.float32)
    infinite = rows[~np.isfinite(chosen).all(axis=1)]
    if len(infinite):
        raise InputError(f"vectors[{infinite[0]}]: holds NaN or infinity")
    numbers = rows.tolist()
    return MapPoints(
        chosen,
        rows,
        total,
        [str(row if ids is None else ids[row]) for row in numbers],
        [None if texts is None else texts[row] for row in numbers],
        tuple(
            parse_column(name, (_take(values, row) for row in numbers), name)
            for name, values in columns.items()
        ),
        None,
    )


def _take(values: Any, row: int) -> Any:
    """The item at a position, also of a pandas Series, whose brackets take labels."""
    return values.iloc[row] if hasattr(values, "iloc") else values[row]

"""The .parquet files of a folder as one file of vectors."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bothways.errors import DataFileError
from bothways.files.formats import require_parquet
from bothways.files.origin import Origin, differing_field

if TYPE_CHECKING:
    from bothways.files.vector_file_parquet import ParquetVectorFile

__all__ = ["KnownParts", "VectorFolder", "part_paths"]


def part_paths(folder: Path) -> list[Path]:
    """The .parquet files of a folder in the order of their names, without hidden ones.

    Raises:
        DataFileError: if there are none.
    """
    paths = sorted(
        path for path in folder.glob("*.parquet") if not path.name.startswith((".", "_"))
    )
    if not paths:
        raise DataFileError(
            f"{folder}: no .parquet files; expected a folder that bothways encode -o {folder}/ "
            "wrote, or one with .parquet files of vectors"
        )
    return paths


@dataclasses.dataclass(frozen=True)
class KnownParts:
    """What parts hold, as it was when an index was made of them. rows: of each part, by name."""

    origin: Origin | None
    dimensions: int
    rows: Mapping[str, int]


class VectorFolder:
    """The vectors of all parts, which must have one origin. Rows are counted over all parts.

    One part is open at a time.

    known: parts that need not be opened to know what they hold. paths: of the parts, in order.
    starts: the number of the first row of each part, and at the end the number of rows.

    Raises:
        DataFileError: if the folder has no parts, a part is damaged, or their origins differ.
        MissingExtra: if pyarrow is not installed.
    """

    def __init__(self, path: str, *, trust: bool = False, known: KnownParts | None = None) -> None:
        self.name, self._trust = path, trust
        require_parquet(path)
        self.paths = [str(part) for part in part_paths(Path(path))]
        self.origin: Origin | None = None
        self.dimensions: int | None = None
        self._first: str | None = None
        rows = []
        for each in self.paths:
            if known is not None and Path(each).name in known.rows:
                self._check(each, known.origin, known.dimensions)
                rows.append(known.rows[Path(each).name])
                continue
            with self.open_part(each) as part:
                self._check(each, part.origin, part.dimensions)
                rows.append(part.num_rows)
        self.starts: np.ndarray = np.concatenate([[0], np.cumsum(rows)])

    @cached_property
    def columns(self) -> list[str]:
        """The columns that all parts have beside the vectors."""
        columns: list[str] | None = None
        for part in self._parts():
            columns = [name for name in columns or part.columns if name in part.columns]
        return columns or []

    def batches(self) -> Iterator[np.ndarray]:
        """See `VectorFile.batches`."""
        for part in self._parts():
            yield from part.batches()

    def read_column(self, column: str) -> Iterator[Any]:
        """See `VectorFile.read_column`."""
        for part in self._parts():
            yield from part.read_column(column)

    def ids_and_texts(self, rows: np.ndarray) -> dict[int, tuple[str, str | None]]:
        """See `VectorFile.ids_and_texts`. Only the parts that hold `rows` are opened."""
        names: dict[int, tuple[str, str | None]] = {}
        indices = np.searchsorted(self.starts, rows, side="right") - 1
        for index in np.unique(indices).tolist():
            start = int(self.starts[index])
            with self.open_part(self.paths[index]) as part:
                local = part.ids_and_texts(rows[indices == index] - start)
                names |= {start + row: name for row, name in local.items()}
        return names

    def read_rows(self, rows: np.ndarray) -> np.ndarray:
        """The vectors float32 (n, d) of `rows` (n,), which are in ascending order.

        Raises:
            DataFileError: as `batches` does.
        """
        vectors = [np.empty((0, self.dimensions or 1), np.float32)]
        indices = np.searchsorted(self.starts, rows, side="right") - 1
        for index in np.unique(indices).tolist():
            with self.open_part(self.paths[index]) as part:
                vectors.append(part.read_rows(rows[indices == index] - self.starts[index]))
        return np.concatenate(vectors)

    def open_part(self, path: str) -> "contextlib.AbstractContextManager[ParquetVectorFile]":
        """Open one of `paths`.

        Raises:
            DataFileError: as `open_parquet_vectors` does.
        """
        from bothways.files.vector_file_parquet import open_parquet_vectors

        return open_parquet_vectors(path, trust=self._trust)

    def _parts(self) -> "Iterator[ParquetVectorFile]":
        for path in self.paths:
            with self.open_part(path) as part:
                yield part

    def _check(self, name: str, origin: Origin | None, dimensions: int | None) -> None:
        """Check that a part has the origin and dimensions of those before it."""
        if self._first is None:
            self._first, self.origin = name, origin
        else:
            self._check_origin(name, origin)
        self.dimensions = self.dimensions or dimensions
        if dimensions not in (None, self.dimensions):
            raise DataFileError(
                f"{name}: its vectors have {dimensions} dimensions, those of {self._first} "
                f"{self.dimensions}"
            )

    def _check_origin(self, name: str, origin: Origin | None) -> None:
        if origin is None or self.origin is None:
            if origin is not self.origin:
                raise DataFileError(f"{name}: only some files of the folder say what made them")
            return
        if (field := differing_field(self.origin, origin)) is not None:
            ours, theirs = getattr(self.origin, field), getattr(origin, field)
            raise DataFileError(
                f"{name}: its vectors have {field} {theirs!r}, those of {self.paths[0]} {ours!r}; "
                "a folder holds the vectors of one model with one set of options"
            )

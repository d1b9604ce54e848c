"""The .parquet files of a folder as one file of vectors."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bothways.errors import DataFileError
from bothways.files.formats import require_parquet
from bothways.files.origin import Origin, differing_field

if TYPE_CHECKING:
    from bothways.files.vector_file_parquet import ParquetVectorFile

__all__ = ["VectorFolder", "part_paths"]


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


class VectorFolder:
    """The vectors of all parts, which must have one origin. Rows are counted over all parts.

    One part is open at a time.

    paths: of the parts, in order. starts: the number of the first row of each part, and at the end
    the number of rows.

    Raises:
        DataFileError: if the folder has no parts, a part is damaged, or their origins differ.
        MissingExtra: if pyarrow is not installed.
    """

    def __init__(self, path: str, *, trust: bool = False) -> None:
        self.name, self._trust = path, trust
        require_parquet(path)
        self.paths = [str(part) for part in part_paths(Path(path))]
        self.origin: Origin | None = None
        self.dimensions: int | None = None
        self.columns: list[str] = []
        rows = []
        for index, part in enumerate(self._parts()):
            if index == 0:
                self.origin, self.columns = part.origin, part.columns
            else:
                self._check_origin(part.name, part.origin)
                self.columns = [name for name in self.columns if name in part.columns]
            self.dimensions = self.dimensions or part.dimensions
            if part.dimensions not in (None, self.dimensions):
                raise DataFileError(
                    f"{part.name}: its vectors have {part.dimensions} dimensions, those of "
                    f"{self.paths[0]} {self.dimensions}"
                )
            rows.append(part.num_rows)
        self.starts: np.ndarray = np.concatenate([[0], np.cumsum(rows)])

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

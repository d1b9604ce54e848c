"""Files of an index: `_index/index.json` in the folder of vectors, and a file of bits per part.

A file of bits holds the signs of each row, in words of 64 bits, and then the places of the vectors
in the part, as pairs of 64-bit integers (`PlainPages`), if the part need not be decoded. Its name
has the digest of the part, so that it is never taken for the bits of another version. A graph over
all parts is a file of usearch, whose name has a digest of theirs.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from bothways.errors import CheckpointError, DataFileError
from bothways.files.origin import Origin
from bothways.files.plain_pages import PlainPages
from bothways.io.atomic import atomic_file
from bothways.io.json_files import has_file, read_object, write_json
from bothways.search.graph import VectorGraph
from bothways.search.sign_bits import num_words

__all__ = [
    "IndexFile",
    "IndexedGraph",
    "IndexedPart",
    "Recall",
    "file_state",
    "index_folder",
    "job_id_of",
]

_FORMAT_VERSION = 1


def index_folder(folder: str) -> Path:
    """The folder with the index of a folder of vectors."""
    return Path(folder, "_index")


def file_state(path: Path) -> tuple[int, int]:
    """Size in bytes and time of modification in ns: whoever replaces a file changes them."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def job_id_of(folder: str) -> str | None:
    """The id of the job that writes a folder; None for a folder that no job writes.

    Raises:
        DataFileError: if its job.json is damaged.
    """
    path = Path(folder, "job.json")
    try:
        return read_object(path).get("job_id") if has_file(path) else None
    except CheckpointError as error:
        raise DataFileError(str(error)) from error


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recall:
    """The measured share of the `k` nearest rows that the index finds, over held-out queries."""

    value: float
    k: int
    queries: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndexedPart:
    """A part as it was when it was indexed.

    bytes, mtime_ns, sha256: of its file. bits: name of the file with its signs.
    """

    name: str
    rows: int
    bytes: int
    mtime_ns: int
    sha256: str
    bits: str

    def is_current(self, path: Path) -> bool:
        """Whether the part at `path` still has its size and time of modification."""
        return file_state(path) == (self.bytes, self.mtime_ns)

    def open_bits(
        self, folder: Path, dimensions: int, dtype: str
    ) -> tuple[np.ndarray, PlainPages | None]:
        """The signs uint64 (rows, w), mapped, and the places of the vectors, which have a `dtype`.

        Raises:
            DataFileError: if the file is missing or has another size.
        """
        path, shape = folder / self.bits, (self.rows, num_words(dimensions))
        again = f"delete {folder} and index the folder again"
        try:
            size = 8 * shape[0] * shape[1]
            rest = path.stat().st_size - size
            if rest >= 0 and rest % 16 == 0:
                pages = np.fromfile(path, "<i8", offset=size).reshape(-1, 2).tolist()
                bits = (
                    np.memmap(path, np.uint64, "r", shape=shape) if size else np.empty(shape, "u8")
                )
                places = [(start, count) for start, count in pages]
                if not places:
                    return bits, None
                if sum(count for _, count in places) == self.rows * dimensions:
                    return bits, PlainPages(places, dtype)
        except OSError as error:
            raise DataFileError(f"{path}: {error.strerror or error}; {again}") from error
        raise DataFileError(f"{path}: truncated or damaged; {again}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndexedGraph:
    """A graph over the rows of parts.

    file: its name. bytes: its size. oversampling: candidates per row of the result. recall: None if
    the folder has fewer than two rows. parts: name, SHA-256 and number of rows of each part, as it
    was when it was added; the number of a part is its place in the list.
    """

    file: str
    bytes: int
    oversampling: int
    recall: Recall | None
    parts: tuple[tuple[str, str, int], ...]

    def numbers(self, parts: Sequence[IndexedPart]) -> dict[str, int]:
        """The number of each of `parts` that the graph has, by name."""
        known = {(name, digest): number for number, (name, digest, _) in enumerate(self.parts)}
        pairs = ((part.name, known.get((part.name, part.sha256))) for part in parts)
        return {name: number for name, number in pairs if number is not None}

    def open(self, folder: Path, dimensions: int, *, mapped: bool = True) -> VectorGraph:
        """See `VectorGraph.open`.

        Raises:
            DataFileError: if the file is missing or damaged.
            MissingExtra: if usearch is not installed.
        """
        path, again = folder / self.file, f"delete {folder} and index the folder again"
        try:
            size = path.stat().st_size
        except OSError as error:
            raise DataFileError(f"{path}: {error.strerror or error}; {again}") from error
        if size != self.bytes:
            raise DataFileError(f"{path}: truncated or damaged; {again}")
        graph = VectorGraph.open(path, dimensions, mapped=mapped)
        if len(graph) != sum(rows for _, _, rows in self.parts):
            raise DataFileError(f"{path}: has other rows than its parts; {again}")
        return graph


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndexFile:
    """What `index.json` says.

    origin: of the vectors; None if they do not say. oversampling: candidates per row of the result.
    recall: None if the folder has fewer than two rows. graph: None without one.
    """

    job_id: str | None
    origin: Origin | None
    dimensions: int
    oversampling: int
    recall: Recall | None
    parts: tuple[IndexedPart, ...]
    graph: IndexedGraph | None = None

    def write(self, path: Path) -> None:
        """Write a JSON object, atomically.

        Raises:
            WriteFailed: if the file cannot be written.
        """
        with atomic_file(path) as temporary:
            origin = None if self.origin is None else self.origin.to_json()
            fields = {**dataclasses.asdict(self), "origin": origin}
            write_json(temporary, {"format_version": _FORMAT_VERSION, **fields})

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read what `write` wrote; None if there is no file.

        Raises:
            DataFileError: if it is malformed.
        """
        try:
            if not has_file(path):
                return None
            fields = read_object(path)
        except CheckpointError as error:
            raise DataFileError(str(error)) from error
        version = fields.pop("format_version", None)
        if version != _FORMAT_VERSION:
            raise DataFileError(
                f"{path}: format_version is {version!r}, and this version of bothways reads "
                f"{_FORMAT_VERSION}; delete {path.parent} and index the folder again"
            )
        try:
            return cls._from_fields(fields, str(path))
        except (KeyError, TypeError, ValueError) as error:
            raise DataFileError(
                f"{path}: damaged ({error!r}); delete {path.parent} and index the folder again"
            ) from error

    @classmethod
    def _from_fields(cls, fields: dict[str, Any], where: str) -> Self:
        origin, recall = fields.pop("origin"), fields.pop("recall")
        parts = tuple(_part(IndexedPart(**part)) for part in fields.pop("parts"))
        graph = fields.pop("graph", None)
        index = cls(
            origin=None if origin is None else Origin.from_json(origin, where),
            recall=None if recall is None else Recall(**recall),
            parts=parts,
            graph=None if graph is None else _graph(graph),
            **fields,
        )
        _check_numbers(index.dimensions, index.oversampling, least=1)
        return index


def _part(part: IndexedPart) -> IndexedPart:
    _check_numbers(part.rows, part.bytes, part.mtime_ns, least=0)
    _check_name(part.bits)
    return part


def _graph(fields: dict[str, Any]) -> IndexedGraph:
    recall = fields.pop("recall")
    graph = IndexedGraph(
        recall=None if recall is None else Recall(**recall),
        parts=tuple((str(name), str(digest), rows) for name, digest, rows in fields.pop("parts")),
        **fields,
    )
    _check_name(graph.file)
    _check_numbers(graph.oversampling, least=1)
    _check_numbers(graph.bytes, *(rows for _, _, rows in graph.parts), least=0)
    return graph


def _check_name(name: str) -> None:
    if Path(name).name != name:
        raise ValueError(f"{name!r} is no file name")


def _check_numbers(*values: object, least: int) -> None:
    for value in values:
        if type(value) is not int or value < least:
            raise ValueError(f"{value!r} is no whole number of at least {least}")

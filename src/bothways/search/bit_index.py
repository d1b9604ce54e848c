"""Search with an index: candidates by the Hamming distance of signs, or by a graph, scored by their
vectors."""

import dataclasses
from pathlib import Path

import numpy as np

from bothways.errors import DataFileError
from bothways.files.nearest import NearestRows, Scan
from bothways.files.origin import differing_field
from bothways.files.plain_pages import PLAIN_DTYPES, PlainPages
from bothways.files.search import scan_batches
from bothways.files.vector_file import VectorFile
from bothways.files.vector_folder import KnownParts, VectorFolder, part_paths
from bothways.search.graph import has_usearch
from bothways.search.graph_search import GraphSearch
from bothways.search.index_file import (
    IndexedPart,
    IndexFile,
    Recall,
    index_folder,
    job_id_of,
)
from bothways.search.sign_bits import NearestBits, pack_signs

__all__ = ["RECALL_K", "BitIndex", "open_index"]

RECALL_K = 10
"""Recall is measured for this number of rows."""

_LEAST_K = RECALL_K + 1
"""Searches for fewer rows have as many candidates: those that measure the recall find themselves,
and no other search has fewer candidates than they have."""

_SCAN_FACTOR = 8
"""Reading a row by itself takes longer than reading one of a batch, by at least this factor."""

_CANDIDATE_BYTES = 1 << 25
"""Size of the candidates' vectors in memory."""


def open_index(path: str) -> "BitIndex | None":
    """The index that `build_index` wrote into a folder of vectors; None if there is none.

    Its graph, if it has one, is used if usearch is installed.

    Raises:
        DataFileError: if the index is damaged.
    """
    if not Path(path).is_dir():
        return None
    index = IndexFile.read(index_folder(path) / "index.json")
    return None if index is None else BitIndex(path, index)


class BitIndex:
    """An index of a folder: the signs of all its vectors, and perhaps a graph over them.

    Of each query, the rows whose signs differ least are candidates, `oversampling` per row of the
    result, or those that the graph finds. Their cosines are computed from the vectors in the
    folder. Parts that were added or changed after indexing are searched exactly. Signs serve where
    a graph cannot: for a selection of rows, and for parts that it lacks.
    """

    def __init__(self, path: str, index: IndexFile) -> None:
        self._path, self._index = path, index
        self._graph = GraphSearch.of(path, index)
        self._parts = {part.name: part for part in index.parts}
        self._opened: dict[str, tuple[np.ndarray, PlainPages | None]] = {}

    @property
    def recall(self) -> Recall | None:
        """As measured when the folder was indexed, with the graph if it is used."""
        return self._index.recall if self._graph is None else self._graph.recall

    @property
    def lacks_usearch(self) -> bool:
        """Whether there is a graph that cannot be used, because usearch is not installed."""
        return self._index.graph is not None and not has_usearch()

    def without_graph(self) -> "BitIndex":
        """The index as it searches a selection of rows, with the recall of that."""
        return BitIndex(self._path, dataclasses.replace(self._index, graph=None))

    def missing_parts(self) -> list[str]:
        """Names of the parts that were added or changed after indexing."""
        paths = part_paths(Path(self._path))
        return [path.name for path in paths if self._current(str(path)) is None]

    def open(self, path: str, *, trust: bool) -> VectorFolder:
        """See `SearchIndex.open`: only parts that are not as they were indexed are opened.

        Raises:
            DataFileError: if it is not the folder of the index, or as `open_vector_file`.
        """
        self._check_path(path)
        known = None
        if trust or self._index.origin is not None:
            rows = {name: part.rows for name, part in self._parts.items()}
            current = {name: count for name, count in rows.items() if self._is_current(name)}
            known = KnownParts(self._index.origin, self._index.dimensions, current)
        return VectorFolder(path, trust=trust, known=known)

    def nearest(
        self,
        file: VectorFile,
        queries: np.ndarray,
        k: int,
        *,
        selected: np.ndarray | None = None,
        scan: Scan | None = None,
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """See `SearchIndex.nearest`.

        Raises:
            DataFileError: if the index is of another folder, origin or job, or a file is damaged.
        """
        folder = self._check(file)
        scanned = NearestRows(queries, k, scan)
        count = self._index.oversampling * max(k, _LEAST_K)
        bits = NearestBits(pack_signs(queries), count)
        indexed = [self._current(path) for path in folder.paths]
        self._check_rows(indexed, np.diff(folder.starts))
        rows = sum(part.rows for part in indexed if part is not None)
        if count * _SCAN_FACTOR > rows:
            indexed = [None] * len(indexed)
        graph = self._graph if selected is None else None
        places = {} if graph is None else graph.places(indexed)
        for place, (path, start, part) in enumerate(
            zip(folder.paths, folder.starts[:-1].tolist(), indexed, strict=True)
        ):
            if place in places.values():
                continue
            if part is not None:
                bits.add(self._open(part)[0], start, selected)
                continue
            with folder.open_part(path) as opened:
                scan_batches(scanned, opened.batches(), folder.name, selected=selected, start=start)
        results = list(zip(scanned.rows, scanned.scores, strict=True))
        if any(part is not None for part in indexed):
            candidates = bits.rows
            if graph is not None and places:
                more = graph.nearest(queries, max(k, _LEAST_K), places, folder.starts)
                pairs = zip(candidates, more, strict=True)
                candidates = [np.sort(np.concatenate(pair)) for pair in pairs]
            self._rescore(folder, queries, k, candidates, scan, results)
        return [rows for rows, _ in results], [scores for _, scores in results]

    def _rescore(
        self,
        folder: VectorFolder,
        queries: np.ndarray,
        k: int,
        candidates: list[np.ndarray],
        scan: Scan | None,
        results: list[tuple[np.ndarray, np.ndarray]],
    ) -> None:
        """Merge the candidates (rows, in ascending order) of each query into its results."""
        most = max(map(len, candidates), default=0)
        step = max(1, _CANDIDATE_BYTES // max(1, 4 * queries.shape[1] * most))
        for first in range(0, len(queries), step):
            group = range(first, min(first + step, len(queries)))
            read = np.unique(np.concatenate([candidates[number] for number in group]))
            vectors = self._read(folder, read)
            for number in group:
                rows = candidates[number]
                nearest = NearestRows(queries[number : number + 1], k, scan)
                nearest.add(vectors[np.searchsorted(read, rows)], rows, folder.name)
                rows = np.concatenate([results[number][0], nearest.rows[0]])
                scores = np.concatenate([results[number][1], nearest.scores[0]])
                order = np.lexsort((rows, -scores))[:k]
                results[number] = rows[order], scores[order]

    def _read(self, folder: VectorFolder, rows: np.ndarray) -> np.ndarray:
        """The vectors (n, d) of rows of indexed parts, in ascending order."""
        vectors = [np.empty((0, self._index.dimensions), np.float32)]
        parts = np.searchsorted(folder.starts, rows, side="right") - 1
        for number in np.unique(parts).tolist():
            path, inside = folder.paths[number], rows[parts == number]
            pages = self._open(self._parts[Path(path).name])[1]
            if pages is None:
                vectors.append(folder.read_rows(inside))
                continue
            try:
                with Path(path).open("rb", buffering=0) as file:
                    local = inside - folder.starts[number]
                    stored = pages.read_rows(file, self._index.dimensions, local)
                    vectors.append(np.asarray(stored, np.float32))
            except (OSError, EOFError, IndexError) as error:
                raise DataFileError(f"{path}: {error}") from error
        return np.concatenate(vectors)

    def _check(self, file: VectorFile) -> VectorFolder:
        self._check_path(file.name)
        path = index_folder(self._path) / "index.json"
        again = "index the folder again, or search without the index (--exact)"
        if not isinstance(file, VectorFolder):
            raise TypeError(f"{file.name}: an index is for a folder")
        for field, ours, theirs in (
            *self._differences(file),
            ("dimensions", self._index.dimensions, file.dimensions or self._index.dimensions),
            ("job_id", self._index.job_id, job_id_of(self._path)),
        ):
            if ours != theirs:
                raise DataFileError(
                    f"{path}: indexes vectors with {field} {ours!r}, and those of {file.name} have "
                    f"{theirs!r}; {again}"
                )
        return file

    def _check_path(self, path: str) -> None:
        if Path(path).resolve() != Path(self._path).resolve():
            raise DataFileError(
                f"{path}: not the folder of the index {index_folder(self._path) / 'index.json'}"
            )

    def _differences(self, folder: VectorFolder) -> list[tuple[str, object, object]]:
        ours, theirs = self._index.origin, folder.origin
        if ours is None or theirs is None:
            return [("origin", ours, theirs)]
        field = differing_field(ours, theirs)
        return [] if field is None else [(field, getattr(ours, field), getattr(theirs, field))]

    def _check_rows(self, parts: list[IndexedPart | None], rows: np.ndarray) -> None:
        for part, count in zip(parts, rows.tolist(), strict=True):
            if part is not None and part.rows != count:
                raise DataFileError(
                    f"{self._path}: {part.name} has {count} rows, and its index {part.rows}; "
                    f"delete {index_folder(self._path)} and index the folder again"
                )

    def _is_current(self, name: str) -> bool:
        path = Path(self._path, name)
        return path.is_file() and self._parts[name].is_current(path)

    def _current(self, path: str) -> IndexedPart | None:
        """The part at `path`, if it is as it was indexed."""
        part = self._parts.get(Path(path).name)
        return part if part is not None and part.is_current(Path(path)) else None

    def _open(self, part: IndexedPart) -> tuple[np.ndarray, PlainPages | None]:
        if part.name not in self._opened:
            origin = self._index.origin
            dtype = PLAIN_DTYPES.get("f32" if origin is None else origin.vectors_as, "<f4")
            folder, dimensions = index_folder(self._path), self._index.dimensions
            self._opened[part.name] = part.open_bits(folder, dimensions, dtype)
        return self._opened[part.name]

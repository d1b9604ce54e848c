"""Indexing a folder of vectors, and measuring how many of the nearest rows the index finds."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bothways.errors import DataFileError, InputError
from bothways.files.array_digest import hash_file
from bothways.files.nearest import NearestRows, check_finite
from bothways.files.origin import differing_field
from bothways.files.search import scan_batches
from bothways.files.vector_folder import VectorFolder
from bothways.io.atomic import atomic_file, wrap_write_errors
from bothways.io.read_ahead import read_ahead
from bothways.search.bit_index import RECALL_K, BitIndex
from bothways.search.build_graph import build_graph
from bothways.search.graph import require_usearch
from bothways.search.index_file import (
    IndexedPart,
    IndexFile,
    Recall,
    file_state,
    index_folder,
    job_id_of,
)
from bothways.search.scan import default_scan
from bothways.search.sign_bits import pack_signs

__all__ = ["OVERSAMPLING", "IndexReport", "build_index"]

OVERSAMPLING = 20
"""Candidates per row of the result. On clustered vectors, 10 gave a recall of 0.998 and 4 0.916.
For a graph, more also make its search broader."""

_QUERIES = 500
"""Number of rows that are searched for to measure the recall."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndexReport:
    """What `build_index` did.

    rows, parts: in the folder. indexed: number of parts whose signs were computed now. recall: None
    if the folder has fewer than two rows. bytes: of the index. graph_recall, graph_bytes: of its
    graph; None without one.
    """

    rows: int
    parts: int
    indexed: int
    recall: Recall | None
    bytes: int
    graph_recall: Recall | None = None
    graph_bytes: int | None = None


def build_index(
    path: str,
    *,
    oversampling: int = OVERSAMPLING,
    graph: bool = False,
    trust: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> IndexReport:
    """Index the parts of a folder of vectors, or those that were added or changed since.

    The recall is the share of the 10 nearest rows that the index finds, measured with up to 500
    rows of the folder as queries, each without itself.

    oversampling: candidates per row of the result, whose vectors a search reads; with `graph`, of
    the graph. graph: also build a graph, or add the parts that it lacks; otherwise, one that exists
    stays as it is. trust: also index vectors that do not say which model made them. progress:
    called with the completed share.

    Raises:
        DataFileError: if the folder has no vectors, they are damaged, hold NaN or infinity, or have
            different origins.
        InputError: if `oversampling` is less than 1.
        MissingExtra: if pyarrow is not installed, or for a graph, usearch.
        WriteFailed: if the index cannot be written.
    """
    if oversampling < 1:
        raise InputError(f"oversampling={oversampling}: expected at least 1")
    if not Path(path).is_dir():
        raise DataFileError(f"{path}: not a folder; an index is for a folder of .parquet files")
    if graph:
        require_usearch()
    folder = VectorFolder(path, trust=trust)
    old = _comparable(IndexFile.read(index_folder(path) / "index.json"), folder)
    of_graph = oversampling
    if graph:
        oversampling = OVERSAMPLING if old is None else old.oversampling
    if (
        old is not None
        and old.oversampling == oversampling
        and _is_complete(old, folder)
        and (not graph or _has_graph(old, folder, of_graph))
    ):
        return _report(folder, old, indexed=0)
    with wrap_write_errors(index_folder(path)):
        index_folder(path).mkdir(exist_ok=True)
    scan = default_scan()
    sample = _sample(int(folder.starts[-1]))
    queries = folder.read_rows(sample)
    exact = NearestRows(queries, RECALL_K + 1, scan)
    steps = _Steps(len(folder.paths) * (2 if graph else 1) + 1, progress)
    parts: list[IndexedPart] = []
    indexed = 0
    for number, part_path in enumerate(folder.paths):
        part = _kept_part(path, Path(part_path), old)
        if part is None:
            part = _index_part(folder, number)
            indexed += 1
        parts.append(part)
        with folder.open_part(part_path) as vectors:
            start = int(folder.starts[number])
            scan_batches(exact, vectors.batches(), path, selected=None, start=start)
        steps.next()
    index = IndexFile(
        job_id=job_id_of(path),
        origin=folder.origin,
        dimensions=folder.dimensions or 1,
        oversampling=oversampling,
        recall=None,
        parts=tuple(parts),
    )

    def measure(index: IndexFile) -> Recall | None:
        found = BitIndex(path, index).nearest(folder, queries, RECALL_K + 1, scan=scan)
        return _recall(sample, (exact.rows, exact.scores), found)

    index = dataclasses.replace(index, recall=measure(index))
    built = None if old is None else old.graph
    if graph:
        built = build_graph(folder, parts, built, oversampling=of_graph, progress=steps.next)
        index = dataclasses.replace(index, graph=built)
        built = dataclasses.replace(built, recall=measure(index))
    index = dataclasses.replace(index, graph=built)
    index.write(index_folder(path) / "index.json")
    _remove_others(path, index)
    progress(1)
    return _report(folder, index, indexed=indexed)


class _Steps:
    """Reports the completed share of a number of steps."""

    def __init__(self, count: int, progress: Callable[[float], None]) -> None:
        self._count, self._progress, self._done = count, progress, 0

    def next(self) -> None:
        self._done += 1
        self._progress(self._done / self._count)


def _comparable(index: IndexFile | None, folder: VectorFolder) -> IndexFile | None:
    """The index, unless it is of vectors of another origin or job, whose parts say nothing."""
    if index is None or index.job_id != job_id_of(folder.name):
        return None
    ours, theirs = index.origin, folder.origin
    if ours is None or theirs is None:
        return index if ours is theirs else None
    return index if differing_field(ours, theirs) is None else None


def _is_complete(index: IndexFile, folder: VectorFolder) -> bool:
    names = [Path(path).name for path in folder.paths]
    return names == [part.name for part in index.parts] and all(
        part.is_current(Path(path)) and _has_bits(folder.name, part)
        for part, path in zip(index.parts, folder.paths, strict=True)
    )


def _has_graph(index: IndexFile, folder: VectorFolder, oversampling: int) -> bool:
    """Whether the graph of an index has all parts, and its file is there."""
    graph = index.graph
    if graph is None or graph.oversampling != oversampling:
        return False
    path = index_folder(folder.name) / graph.file
    is_whole = path.is_file() and path.stat().st_size == graph.bytes
    return is_whole and len(graph.numbers(index.parts)) == len(index.parts)


def _has_bits(folder: str, part: IndexedPart) -> bool:
    return (index_folder(folder) / part.bits).is_file()


def _kept_part(folder: str, path: Path, old: IndexFile | None) -> IndexedPart | None:
    """The part as it is in an earlier index; None if it is new or its content has changed."""
    parts = () if old is None else old.parts
    part = next((part for part in parts if part.name == path.name), None)
    if part is None or not _has_bits(folder, part):
        return None
    if part.is_current(path):
        return part
    size, modified = file_state(path)
    if size != part.bytes or _hash(path) != part.sha256:
        return None
    return dataclasses.replace(part, mtime_ns=modified)


def _index_part(folder: VectorFolder, number: int) -> IndexedPart:
    """Write the signs of a part's vectors, and where in the part its vectors are."""
    path = Path(folder.paths[number])
    size, modified = file_state(path)
    digest = _hash(path)
    name = f"{path.stem}.{digest[:16]}.bits"
    with (
        folder.open_part(str(path)) as part,
        atomic_file(index_folder(folder.name) / name) as temporary,
        temporary.open("wb") as file,
    ):
        row = 0
        for vectors in read_ahead(part.batches()):
            check_finite(vectors, np.arange(row, row + len(vectors)), part.name)
            file.write(pack_signs(vectors).tobytes())
            row += len(vectors)
        pages = [] if part.plain_pages is None else part.plain_pages.pages
        file.write(np.asarray(pages, "<i8").tobytes())
    return IndexedPart(
        name=path.name,
        rows=row,
        bytes=size,
        mtime_ns=modified,
        sha256=digest,
        bits=name,
    )


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hash_file(file, 0)


def _sample(rows: int) -> np.ndarray:
    """Numbers of the rows that are searched for, in ascending order: the same ones each time."""
    if rows == 0:
        return np.empty(0, np.int64)
    return np.sort(np.random.default_rng(0).choice(rows, min(_QUERIES, rows), replace=False))


def _recall(
    sample: np.ndarray,
    exact: tuple[list[np.ndarray], list[np.ndarray]],
    found: tuple[list[np.ndarray], list[np.ndarray]],
) -> Recall | None:
    """The share of nearest rows that were found, of searches for RECALL_K + 1 rows.

    A row that is as near as the last of the nearest counts as one of them.
    """
    shares = []
    for row, *results in zip(sample.tolist(), *exact, *found, strict=True):
        expected, scores = (
            others[rows != row][:RECALL_K]
            for rows, others in zip(results[::2], results[1::2], strict=True)
        )
        if len(expected):
            shares.append((scores >= expected[-1]).sum() / len(expected))
    if not shares:
        return None
    return Recall(value=round(float(np.mean(shares)), 4), k=RECALL_K, queries=len(shares))


def _remove_others(folder: str, index: IndexFile) -> None:
    """Remove the signs of parts that are gone or have changed, and other graphs."""
    names = {part.bits for part in index.parts} | {index.graph.file if index.graph else ""}
    for path in index_folder(folder).iterdir():
        if path.suffix in (".bits", ".usearch") and path.name not in names:
            path.unlink(missing_ok=True)


def _report(folder: VectorFolder, index: IndexFile, *, indexed: int) -> IndexReport:
    files = [index_folder(folder.name) / part.bits for part in index.parts]
    return IndexReport(
        rows=int(folder.starts[-1]),
        parts=len(folder.paths),
        indexed=indexed,
        recall=index.recall,
        bytes=sum(path.stat().st_size for path in files),
        graph_recall=None if index.graph is None else index.graph.recall,
        graph_bytes=None if index.graph is None else index.graph.bytes,
    )

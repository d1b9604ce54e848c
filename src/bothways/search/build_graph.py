"""Building the graph of an index, or adding parts to it."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence

from bothways.errors import DataFileError
from bothways.files.vector_folder import VectorFolder
from bothways.io.atomic import atomic_file
from bothways.io.read_ahead import read_ahead
from bothways.search.graph import VectorGraph
from bothways.search.index_file import IndexedGraph, IndexedPart, index_folder

__all__ = ["build_graph"]

_MOST_GONE = 0.2
"""Share of the rows of a graph that may be gone before it is built again."""


def build_graph(
    folder: VectorFolder,
    parts: Sequence[IndexedPart],
    old: IndexedGraph | None,
    *,
    oversampling: int,
    progress: Callable[[], object],
) -> IndexedGraph:
    """Write a graph over the parts of a folder, or one with those that an old graph lacks.

    The file of the old graph stays as it is. All of a graph is in memory while it is built.

    parts: of `folder`, in order, with finite vectors. progress: called after each part.

    Raises:
        MissingExtra: if usearch is not installed.
        WriteFailed: if the graph cannot be written.
    """
    dimensions = folder.dimensions or 1
    graph, known = _begin(folder, parts, old, dimensions)
    listed = list(old.parts) if old is not None and known else []
    before = len(listed)
    for part, path in zip(parts, folder.paths, strict=True):
        if part.name not in known:
            row = 0
            with folder.open_part(path) as file:
                for vectors in read_ahead(file.batches()):
                    graph.add(vectors, len(listed), row)
                    row += len(vectors)
            listed.append((part.name, part.sha256, row))
        progress()
    if old is not None and known and len(listed) == before:
        return dataclasses.replace(old, oversampling=oversampling)
    digest = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
    target = index_folder(folder.name) / f"graph.{digest[:16]}.usearch"
    with atomic_file(target) as temporary:
        graph.save(temporary)
    return IndexedGraph(
        file=target.name,
        bytes=target.stat().st_size,
        oversampling=oversampling,
        recall=None,
        parts=tuple(listed),
    )


def _begin(
    folder: VectorFolder,
    parts: Sequence[IndexedPart],
    old: IndexedGraph | None,
    dimensions: int,
) -> tuple[VectorGraph, set[str]]:
    """The graph to add rows to, and the names of the parts that it has."""
    if old is not None:
        numbers = old.numbers(parts)
        rows = [rows for _, _, rows in old.parts]
        gone = sum(rows) - sum(rows[number] for number in numbers.values())
        if numbers and gone <= _MOST_GONE * sum(rows):
            try:
                mapped = len(numbers) == len(parts)
                graph = old.open(index_folder(folder.name), dimensions, mapped=mapped)
                return graph, set(numbers)
            except DataFileError:
                pass  # its file is missing or damaged
    return VectorGraph.create(dimensions), set()

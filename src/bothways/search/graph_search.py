"""Candidates from the graph of an index, as rows of the folder."""

from collections.abc import Sequence

import numpy as np

from bothways.search.graph import VectorGraph, has_usearch
from bothways.search.index_file import IndexedPart, IndexFile, Recall, index_folder

__all__ = ["GraphSearch"]


class GraphSearch:
    """The graph of an index, which is opened by the first search.

    recall: as measured when the folder was indexed.
    """

    def __init__(self, path: str, index: IndexFile) -> None:
        assert index.graph is not None  # noqa: S101
        self._path, self._dimensions, self._indexed = path, index.dimensions, index.graph
        self._numbers = index.graph.numbers(index.parts)
        self._graph: VectorGraph | None = None
        self.recall: Recall | None = index.graph.recall

    @classmethod
    def of(cls, path: str, index: IndexFile) -> "GraphSearch | None":
        """The graph of the index of a folder; None if it has none, or usearch is not installed."""
        return None if index.graph is None or not has_usearch() else cls(path, index)

    def places(self, parts: Sequence[IndexedPart | None]) -> dict[int, int]:
        """The indices of those `parts` that the graph has, by their numbers in the graph.

        Empty if these are less than half of the graph, which then finds too few of their rows.
        """
        places = {
            self._numbers[part.name]: place
            for place, part in enumerate(parts)
            if part is not None and part.name in self._numbers
        }
        return (
            places if 2 * self._rows(places) > self._rows(range(len(self._indexed.parts))) else {}
        )

    def nearest(
        self, queries: np.ndarray, k: int, places: dict[int, int], starts: np.ndarray
    ) -> list[np.ndarray]:
        """The candidates for the `k` rows nearest to each query, in ascending order.

        starts: the first row of each of the parts in which `places` are.

        Raises:
            DataFileError: if the file of the graph is missing or damaged.
        """
        if self._graph is None:
            self._graph = self._indexed.open(index_folder(self._path), self._dimensions)
        count = self._indexed.oversampling * k * len(self._graph) // self._rows(places)
        first = np.full(len(self._indexed.parts), -1)
        first[list(places)] = starts[list(places.values())]
        found = self._graph.nearest(queries, count)
        return [np.sort((first[parts] + rows)[first[parts] >= 0]) for parts, rows in found]

    def _rows(self, numbers: "range | dict[int, int]") -> int:
        return sum(self._indexed.parts[number][2] for number in numbers)

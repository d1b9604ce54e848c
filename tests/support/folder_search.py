"""Searches of a folder of clustered vectors, with and without its index."""

from typing import Any

from tests.support.vector_parts import ORIGIN, clustered

from bothways.files import SearchHit, find_nearest_many
from bothways.search import BitIndex, open_index

__all__ = ["QUERIES", "opened", "search", "search_by_index"]

QUERIES = clustered(5, 3)


def opened(folder: str) -> BitIndex:
    """The index of a folder that has one."""
    index = open_index(folder)
    assert index is not None
    return index


def search(folder: str, k: int = 5, **options: Any) -> list[list[SearchHit]]:
    """The nearest rows of each query, exactly unless an index is given."""
    return find_nearest_many(folder, QUERIES, ORIGIN, k, **options)


def search_by_index(folder: str, k: int = 5, **options: Any) -> list[list[SearchHit]]:
    """The nearest rows of each query by the folder's index."""
    return search(folder, k, index=opened(folder), **options)

"""Exact search in memory with NumPy, FAISS and usearch: a program of its own.

Its process imports neither torch nor bothways, since FAISS has an OpenMP of its own, and may run in
another environment. It prints a JSON object: seconds of each run, by contender and number of
queries.

    python flat_search.py VECTORS.npy QUERIES.npy K RUNS MANY_RUNS THREADS
"""

import importlib.util
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Search = Callable[[np.ndarray], Any]


def main() -> None:
    """Measure what is installed."""
    vectors, queries = (np.load(path) for path in sys.argv[1:3])
    k, runs, many_runs, threads = map(int, sys.argv[3:])
    openers: dict[str, Callable[[np.ndarray, int, int], Search]] = {
        "NumPy": open_numpy,
        "FAISS flat": open_faiss,
        "usearch exact": open_usearch,
    }
    modules = {"FAISS flat": "faiss", "usearch exact": "usearch"}
    seconds: dict[str, dict[str, list[float]]] = {}
    versions = {"numpy": np.__version__}
    for name, opener in openers.items():
        if (module := modules.get(name)) is not None:
            if importlib.util.find_spec(module) is None:
                continue
            versions[module] = importlib.import_module(module).__version__
        search = opener(vectors, k, threads)
        seconds[name] = {
            "1": [clock(search, queries[:1]) for _ in range(runs)],
            str(len(queries)): [clock(search, queries) for _ in range(many_runs)],
        }
    print(json.dumps({"seconds": seconds, "versions": versions}))


def clock(search: Search, queries: np.ndarray) -> float:
    """Seconds of one search."""
    start = time.perf_counter()
    search(queries)
    return time.perf_counter() - start


def open_numpy(vectors: np.ndarray, k: int, threads: int) -> Search:
    """A matrix product, and the largest of its numbers."""

    def search(queries: np.ndarray) -> np.ndarray:
        scores = queries @ vectors.T
        nearest: np.ndarray = np.argpartition(scores, len(vectors) - k, axis=1)[:, -k:]
        return nearest

    return search


def open_faiss(vectors: np.ndarray, k: int, threads: int) -> Search:
    """IndexFlatIP."""
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return lambda queries: index.search(queries, k)


def open_usearch(vectors: np.ndarray, k: int, threads: int) -> Search:
    """`usearch.index.search` with exact=True."""
    from usearch.index import MetricKind, search

    return lambda queries: search(vectors, queries, k, MetricKind.Cos, exact=True, threads=threads)


if __name__ == "__main__":
    main()

"""Clusters of vectors, named by the words that are distinctive of their texts.

n rows; d dimensions; c clusters.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

__all__ = ["cluster_vectors", "default_clusters", "label_clusters"]

MAX_CLUSTERS = 40
"""Most clusters that are made by default."""

_ITERATIONS = 30
_DISTANCES = 1 << 22
_WORDS = 3
_LEAST_Z = 2.0
_WORD = re.compile(r"[^\W\d_](?:[\w'’]*\w)?")


def default_clusters(rows: int) -> int:
    """The number of clusters of n rows: the square root of half of them, at most 40."""
    return max(1, min(MAX_CLUSTERS, round(math.sqrt(rows / 2))))


def cluster_vectors(vectors: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """The cluster of each of vectors (n, d), int64 (n,), counted from 0, largest first.

    k-means (Lloyd 1982) that starts as k-means++ (Arthur and Vassilvitskii 2007). Clusters that
    lose all rows are left out.
    """
    rng = np.random.default_rng(seed)
    centers = _start(vectors, clusters, rng)
    chosen = np.full(len(vectors), -1)
    for _ in range(_ITERATIONS):
        previous, chosen = chosen, _closest(vectors, centers)
        if (chosen == previous).all():
            break
        counts = np.bincount(chosen, minlength=len(centers))
        sums = np.stack(
            [np.bincount(chosen, weights=column, minlength=len(centers)) for column in vectors.T],
            axis=1,
        )
        filled = counts > 0
        centers[filled] = (sums[filled] / counts[filled, None]).astype(np.float32)
    counts = np.bincount(chosen, minlength=len(centers))
    order = np.argsort(-counts, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    numbers: np.ndarray = place[chosen]
    return numbers


def _start(vectors: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Rows far from each other: each is drawn by its squared distance to those before."""
    rows = [int(rng.integers(len(vectors)))]
    squares = _squared_distances(vectors, vectors[rows[0]])
    while len(rows) < clusters and squares.sum() > 0:
        rows.append(int(rng.choice(len(vectors), p=squares / squares.sum())))
        squares = np.minimum(squares, _squared_distances(vectors, vectors[rows[-1]]))
    return vectors[rows].copy()


def _squared_distances(vectors: np.ndarray, other: np.ndarray) -> np.ndarray:
    squares: np.ndarray = np.square(vectors - other).sum(axis=1, dtype=np.float64)
    return squares


def _closest(vectors: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """The center closest to each row, a block of rows at a time."""
    closest = np.empty(len(vectors), np.int64)
    lengths = np.square(centers).sum(axis=1)
    step = max(1, _DISTANCES // len(centers))
    for start in range(0, len(vectors), step):
        block = slice(start, start + step)
        closest[block] = (lengths - 2 * vectors[block] @ centers.T).argmin(axis=1)
    return closest


def label_clusters(clusters: np.ndarray, texts: Sequence[str | None]) -> list[str]:
    """A label for each cluster: up to three words whose share exceeds that elsewhere most.

    Words are ranked by the z-score of their log-odds ratio with a Dirichlet prior of all texts
    (Monroe, Colaresi and Quinn 2008, "Fightin' Words"). A word counts once per text, and words
    that half of the clusters or more contain are left out. A cluster without a distinctive word
    is called by its number, from 1.
    """
    count = int(clusters.max()) + 1
    counters: list[Counter[str]] = [Counter() for _ in range(count)]
    for cluster, text in zip(clusters.tolist(), texts, strict=True):
        if text:
            counters[cluster].update(set(_WORD.findall(text.lower())))
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    size = total.total()
    spread = Counter(word for counter in counters for word in counter)
    common = {word for word, clusters in spread.items() if count > 3 and 2 * clusters >= count}
    return [
        ", ".join(_distinctive(counter, total, size, common)) or f"cluster {number}"
        for number, counter in enumerate(counters, start=1)
    ]


def _distinctive(
    counter: Counter[str], total: Counter[str], size: int, common: set[str]
) -> list[str]:
    words = [
        word
        for word, times in counter.items()
        if times > 1 and len(word) > 1 and word not in common
    ]
    inside = counter.total()
    if not words or inside == size or len(total) < 2:
        return []
    here = np.array([counter[word] for word in words], np.float64)
    everywhere = np.array([total[word] for word in words], np.float64)
    prior = inside * everywhere / size  # it counts for as much as the words of the cluster
    elsewhere = everywhere - here
    odds_here = np.log((here + prior) / (2 * inside - here - prior))
    odds_elsewhere = np.log((elsewhere + prior) / (size - elsewhere - prior))
    scores = (odds_here - odds_elsewhere) / np.sqrt(1 / (here + prior) + 1 / (elsewhere + prior))
    order = sorted(range(len(words)), key=lambda i: (-scores[i], words[i]))[:_WORDS]
    return [words[i] for i in order if scores[i] > _LEAST_Z]

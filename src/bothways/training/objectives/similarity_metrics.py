"""Metrics of the similarity of pairs, in NumPy.

n pairs.
"""

import numpy as np

__all__ = ["average_precision", "best_threshold", "spearman"]


def spearman(predicted: np.ndarray, target: np.ndarray) -> float:
    """Spearman's rank correlation of n numbers; equal ones share their mean rank.

    NaN if all numbers of one side are equal: Spearman 1904, "The proof and measurement of
    association between two things".
    """
    ranks = [_mean_ranks(values) for values in (predicted, target)]
    first, second = (rank - rank.mean() for rank in ranks)
    scale = float(np.sqrt(np.square(first).sum() * np.square(second).sum()))
    return float(first @ second) / scale if scale > 0 else float("nan")


def average_precision(score: np.ndarray, is_positive: np.ndarray) -> float:
    """The mean precision at the positives, ranked by score, (n,); NaN without positives.

    Equal scores are one threshold. Manning, Raghavan and Schuetze 2008, "Introduction to
    information retrieval", section 8.4.
    """
    hits, counts = _by_threshold(score, is_positive)
    if not hits.sum():
        return float("nan")
    precision = np.cumsum(hits) / np.cumsum(counts)
    return float((precision * hits).sum() / hits.sum())


def best_threshold(score: np.ndarray, is_positive: np.ndarray) -> tuple[float, float]:
    """The score from which on pairs count as positive, with the best accuracy; and that accuracy.

    It lies halfway between two scores.
    """
    hits, counts = _by_threshold(score, is_positive)
    found, passed = np.cumsum(np.append(0, hits)), np.cumsum(np.append(0, counts))
    correct = found + (passed[-1] - passed) - (found[-1] - found)
    best = int(correct.argmax())
    distinct = np.unique(score)[::-1]
    edges = distinct[[max(best - 1, 0), min(best, len(distinct) - 1)]]
    return float(edges.mean(dtype=np.float64)), float(correct[best] / passed[-1])


def _by_threshold(score: np.ndarray, is_positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of positives and of pairs with each distinct score, the highest first."""
    distinct, index = np.unique(-score, return_inverse=True)
    counts = np.bincount(index, minlength=len(distinct))
    return np.bincount(index, weights=is_positive, minlength=len(distinct)), counts


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[index]

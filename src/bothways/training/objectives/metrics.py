"""How good predictions are: figures from arrays, each a few lines of NumPy.

n targets, C classes or labels, V values, S spans, Q queries, N documents.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

__all__ = [
    "Counts",
    "Reliability",
    "accuracy",
    "class_counts",
    "confusion_matrix",
    "expected_calibration_error",
    "label_counts",
    "mean_absolute_error",
    "mean_reciprocal_rank",
    "r_squared",
    "ranks",
    "recall_at",
    "reliability",
    "root_mean_squared_error",
    "span_counts",
    "spans",
]


@dataclasses.dataclass(frozen=True, eq=False)
class Counts:
    """What precision, recall and F1 are made of, by class; int64 (C,) each.

    hits: targets of the class that were predicted as it. predicted: how often it was predicted.
    actual: how many targets are of the class.
    """

    hits: np.ndarray
    predicted: np.ndarray
    actual: np.ndarray

    @property
    def precision(self) -> np.ndarray:
        """The share of the predictions of a class that are right, (C,); 0 where there are none."""
        return _ratio(self.hits, self.predicted)

    @property
    def recall(self) -> np.ndarray:
        """The share of the targets of a class that were found, (C,); 0 where there are none."""
        return _ratio(self.hits, self.actual)

    @property
    def f1(self) -> np.ndarray:
        """The harmonic mean of precision and recall, (C,).

        van Rijsbergen 1979, "Information retrieval", chapter 7.
        """
        return _ratio(2 * self.hits, self.predicted + self.actual)

    @property
    def macro_f1(self) -> float:
        """The mean of F1 over the classes that occur, as targets or as predictions."""
        occurring = self.predicted + self.actual > 0
        return float(self.f1[occurring].mean()) if occurring.any() else 0.0

    @property
    def micro_f1(self) -> float:
        """F1 of all classes counted together."""
        return float(_ratio(2 * self.hits.sum(), self.predicted.sum() + self.actual.sum()))


@dataclasses.dataclass(frozen=True, eq=False)
class Reliability:
    """Predictions in bins of equal width by confidence, from 0 to 1.

    confidence: its mean in each bin, (bins,). accuracy: the share that is right, (bins,). Both are
    NaN where a bin is empty. counts: how many predictions, int64 (bins,).
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray


# Classes and labels


def accuracy(predicted: np.ndarray, target: np.ndarray) -> float:
    """The share of n targets that were predicted."""
    return float(np.mean(predicted == target))


def confusion_matrix(predicted: np.ndarray, target: np.ndarray, num_classes: int) -> np.ndarray:
    """How often each class (rows) was predicted as each class (columns); int64 (C, C)."""
    pairs = target.astype(np.int64) * num_classes + predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_counts(confusion: np.ndarray) -> Counts:
    """Counts by class from a confusion matrix (C, C)."""
    return Counts(np.diagonal(confusion), confusion.sum(axis=0), confusion.sum(axis=1))


def label_counts(predicted: np.ndarray, target: np.ndarray) -> Counts:
    """Counts by label where a target has any number of them: zeros and ones, (n, C) both."""
    predicted, target = predicted.astype(bool), target.astype(bool)
    return Counts(*(a.sum(axis=0) for a in (predicted & target, predicted, target)))


# Calibration


def reliability(confidence: np.ndarray, correct: np.ndarray, *, bins: int = 15) -> Reliability:
    """How often predictions (n,) of each confidence are right; `correct` is bool or 0 and 1, (n,).

    A bin holds the confidences above its lower edge and up to its upper one.
    Guo et al. 2017, "On calibration of modern neural networks", section 2; 15 bins, section 4.
    """
    bin_of = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    means = [
        np.where(counts > 0, np.bincount(bin_of, a, minlength=bins) / np.maximum(counts, 1), np.nan)
        for a in (confidence, correct)
    ]
    return Reliability(means[0], means[1], counts)


def expected_calibration_error(bins: Reliability) -> float:
    """The mean distance of accuracy from confidence, bins weighed by their counts.

    Guo et al. 2017, equation 3.
    """
    filled = bins.counts > 0
    gaps = np.abs(bins.accuracy - bins.confidence)[filled]
    return float(np.average(gaps, weights=bins.counts[filled])) if filled.any() else 0.0


# Values


def mean_absolute_error(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """By value, in its own unit: (n, V) both, gives (V,)."""
    return np.asarray(np.abs(predicted - target).mean(axis=0))


def root_mean_squared_error(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """By value, in its own unit: (n, V) both, gives (V,)."""
    return np.asarray(np.sqrt(np.square(predicted - target).mean(axis=0)))


def r_squared(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The share of each value's variance that is predicted: (n, V) both, gives (V,).

    Where all targets are the same there is nothing to explain: 1 if they are met, 0 if not.
    """
    unexplained = np.square(predicted - target).sum(axis=0)
    total = np.square(target - target.mean(axis=0)).sum(axis=0)
    met = np.where(unexplained == 0, 1.0, 0.0)
    return np.where(total > 0, 1.0 - unexplained / np.where(total > 0, total, 1.0), met)


# Spans of tags


def spans(tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """The spans that the tags of a sequence mark: (type, first position, position after the last).

    `B-` begins a span and `I-` goes on with it; an `I-` with no span of its type to go on with
    begins one, as in the evaluation of CoNLL (Tjong Kim Sang and De Meulder 2003, section 2).
    `E-` and `S-` (also `L-` and `U-`) mark a span's last and only position. Other tags mark none.
    """
    current, start = None, 0
    for position, tag in enumerate(tags):
        prefix, _, kind = tag.partition("-")
        inside = kind != "" and prefix in {"B", "I", "E", "L", "S", "U"}
        goes_on = inside and kind == current and prefix in {"I", "E", "L"}
        if current is not None and not goes_on:
            yield current, start, position
            current = None
        if inside and current is None:
            current, start = kind, position
        if inside and prefix in {"E", "L", "S", "U"}:
            yield kind, start, position + 1
            current = None
    if current is not None:
        yield current, start, len(tags)


def span_counts(
    predicted: np.ndarray, target: np.ndarray, lengths: np.ndarray, labels: Sequence[str]
) -> tuple[list[str], Counts]:
    """Counts by type of span; a span is found if its type and both its ends are.

    predicted, target: tags as indices of `labels`, sequences end to end; lengths: of each sequence.
    Returns the types, sorted, and their counts. Types and spans are those of `spans`.
    """
    kinds = sorted({kind for label in labels for kind, _, _ in spans([label])})
    counted = dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0)
    end = 0
    for length in lengths.tolist():
        start, end = end, end + length
        guessed = set(spans([labels[i] for i in predicted[start:end]]))
        right = set(spans([labels[i] for i in target[start:end]]))
        for counts, found in zip(counted, (guessed & right, guessed, right), strict=True):
            for kind, _, _ in found:
                counts[kind] += 1
    return kinds, Counts(*(np.array(list(c.values()), np.int64) for c in counted))


# Retrieval


def ranks(
    queries: np.ndarray, documents: np.ndarray, right: np.ndarray, *, chunk: int = 256
) -> np.ndarray:
    """The rank of each query's right document by dot product, from 1; int64 (Q,).

    queries: (Q, D). documents: (N, D). right: the index of each query's document, (Q,). Documents
    that score the same as the right one are counted before it. At most `chunk` x N scores exist at
    a time.
    """
    found = [np.zeros(0, np.int64)]
    for start in range(0, len(queries), chunk):
        scores_QN = queries[start : start + chunk] @ documents.T
        own_Q1 = np.take_along_axis(scores_QN, right[start : start + chunk, None], axis=1)
        found.append((scores_QN >= own_Q1).sum(axis=1))
    return np.concatenate(found)


def recall_at(k: int, ranks: np.ndarray) -> float:
    """The share of queries whose right document is among the first k."""
    return float(np.mean(ranks <= k))


def mean_reciprocal_rank(ranks: np.ndarray) -> float:
    """The mean of 1 / rank: Voorhees 1999, "The TREC-8 question answering track report"."""
    return float(np.mean(1.0 / ranks))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, 0 where whole is."""
    return np.where(whole > 0, part / np.maximum(whole, 1), 0.0)

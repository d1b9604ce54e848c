"""Metrics of predictions, in NumPy.

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
    """Counts by class for precision, recall and F1; each int64 (C,).

    hits: correct predictions of the class. predicted: predictions of the class. actual: targets of
    the class.
    """

    hits: np.ndarray
    predicted: np.ndarray
    actual: np.ndarray

    @property
    def precision(self) -> np.ndarray:
        """The fraction of a class's predictions that are correct, (C,); 0 without predictions."""
        return _ratio(self.hits, self.predicted)

    @property
    def recall(self) -> np.ndarray:
        """The fraction of a class's targets that were predicted, (C,); 0 without targets."""
        return _ratio(self.hits, self.actual)

    @property
    def f1(self) -> np.ndarray:
        """The harmonic mean of precision and recall, (C,).

        van Rijsbergen 1979, "Information retrieval", chapter 7.
        """
        return _ratio(2 * self.hits, self.predicted + self.actual)

    @property
    def macro_f1(self) -> float:
        """The mean F1 over the classes that occur as targets or predictions."""
        occurring = self.predicted + self.actual > 0
        return float(self.f1[occurring].mean()) if occurring.any() else 0.0

    @property
    def micro_f1(self) -> float:
        """F1 of the counts of all classes together."""
        return float(_ratio(2 * self.hits.sum(), self.predicted.sum() + self.actual.sum()))


@dataclasses.dataclass(frozen=True, eq=False)
class Reliability:
    """Predictions in bins of confidence of equal width, from 0 to 1.

    confidence: the mean of each bin, (bins,). accuracy: of each bin, (bins,). Both are NaN for
    empty bins. counts: predictions in each bin, int64 (bins,).
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    counts: np.ndarray


# Classes and labels


def accuracy(predicted: np.ndarray, target: np.ndarray) -> float:
    """The fraction of n targets that were predicted correctly."""
    return float(np.mean(predicted == target))


def confusion_matrix(predicted: np.ndarray, target: np.ndarray, num_classes: int) -> np.ndarray:
    """The confusion matrix, int64 (C, C): actual classes in rows, predicted ones in columns."""
    pairs = target.astype(np.int64) * num_classes + predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_counts(confusion: np.ndarray) -> Counts:
    """Counts by class from a confusion matrix (C, C)."""
    return Counts(np.diagonal(confusion), confusion.sum(axis=0), confusion.sum(axis=1))


def label_counts(predicted: np.ndarray, target: np.ndarray) -> Counts:
    """Counts by label of multilabel predictions and targets, zeros and ones, both (n, C)."""
    predicted, target = predicted.astype(bool), target.astype(bool)
    return Counts(*(a.sum(axis=0) for a in (predicted & target, predicted, target)))


# Calibration


def reliability(confidence: np.ndarray, correct: np.ndarray, *, bins: int = 15) -> Reliability:
    """Bin predictions by confidence (n,), to compare it with accuracy.

    correct: whether each prediction is correct, bool or 0 and 1, (n,). A bin excludes its lower
    edge and includes its upper one.
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
    """The mean absolute difference of accuracy and confidence, bins weighted by their counts.

    Guo et al. 2017, equation 3.
    """
    filled = bins.counts > 0
    gaps = np.abs(bins.accuracy - bins.confidence)[filled]
    return float(np.average(gaps, weights=bins.counts[filled])) if filled.any() else 0.0


# Values


def mean_absolute_error(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The error of each value in its own unit, (V,), from arrays (n, V)."""
    return np.asarray(np.abs(predicted - target).mean(axis=0))


def root_mean_squared_error(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The error of each value in its own unit, (V,), from arrays (n, V)."""
    return np.asarray(np.sqrt(np.square(predicted - target).mean(axis=0)))


def r_squared(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The coefficient of determination of each value, (V,), from arrays (n, V).

    For constant targets: 1 if all predictions are exact, otherwise 0.
    """
    unexplained = np.square(predicted - target).sum(axis=0)
    total = np.square(target - target.mean(axis=0)).sum(axis=0)
    exact = np.where(unexplained == 0, 1.0, 0.0)
    return np.where(total > 0, 1.0 - unexplained / np.where(total > 0, total, 1.0), exact)


# Spans of tags


def spans(tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """The spans that the tags of a sequence mark: (type, first position, last position + 1).

    `B-` begins a span and `I-` continues it; an `I-` without a span of its type to continue begins
    one, as in the CoNLL evaluation (Tjong Kim Sang and De Meulder 2003, section 2). `E-` and `S-`
    (also `L-` and `U-`) mark the last and the only position of a span. Other tags mark no span.
    """
    current, start = None, 0
    for position, tag in enumerate(tags):
        prefix, _, span_type = tag.partition("-")
        inside = span_type != "" and prefix in {"B", "I", "E", "L", "S", "U"}
        continues = inside and span_type == current and prefix in {"I", "E", "L"}
        if current is not None and not continues:
            yield current, start, position
            current = None
        if inside and current is None:
            current, start = span_type, position
        if inside and prefix in {"E", "L", "S", "U"}:
            yield span_type, start, position + 1
            current = None
    if current is not None:
        yield current, start, len(tags)


def span_counts(
    predicted: np.ndarray, target: np.ndarray, lengths: np.ndarray, labels: Sequence[str]
) -> tuple[list[str], Counts]:
    """Counts by span type; a span is correct if its type and both ends are.

    predicted, target: tags of all sequences end to end, as indices of `labels`. lengths: of each
    sequence. Returns the sorted types and their counts. Types and spans are those of `spans`.
    """
    types = sorted({span_type for label in labels for span_type, _, _ in spans([label])})
    hits, predictions, actual = (dict.fromkeys(types, 0) for _ in range(3))
    end = 0
    for length in lengths.tolist():
        start, end = end, end + length
        predicted_spans = set(spans([labels[i] for i in predicted[start:end]]))
        actual_spans = set(spans([labels[i] for i in target[start:end]]))
        for counts, group in (
            (hits, predicted_spans & actual_spans),
            (predictions, predicted_spans),
            (actual, actual_spans),
        ):
            for span_type, _, _ in group:
                counts[span_type] += 1
    return types, Counts(
        *(np.array(list(c.values()), np.int64) for c in (hits, predictions, actual))
    )


# Retrieval


def ranks(
    queries: np.ndarray, documents: np.ndarray, target: np.ndarray, *, chunk: int = 256
) -> np.ndarray:
    """The rank of each query's target document by dot product, from 1; int64 (Q,).

    queries: (Q, D). documents: (N, D). target: the index of each query's document, (Q,). Documents
    with the same score as the target are ranked before it. At most `chunk` x N scores are in memory
    at a time.
    """
    ranks_Q = [np.zeros(0, np.int64)]
    for start in range(0, len(queries), chunk):
        scores_QN = queries[start : start + chunk] @ documents.T
        target_Q1 = np.take_along_axis(scores_QN, target[start : start + chunk, None], axis=1)
        ranks_Q.append((scores_QN >= target_Q1).sum(axis=1))
    return np.concatenate(ranks_Q)


def recall_at(k: int, ranks: np.ndarray) -> float:
    """The fraction of queries whose target document is among the first k."""
    return float(np.mean(ranks <= k))


def mean_reciprocal_rank(ranks: np.ndarray) -> float:
    """The mean of 1 / rank: Voorhees 1999, "The TREC-8 question answering track report"."""
    return float(np.mean(1.0 / ranks))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole; 0 where whole is 0."""
    return np.where(whole > 0, part / np.maximum(whole, 1), 0.0)

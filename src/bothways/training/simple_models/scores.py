"""Scores of predictions with confidence intervals, and the paired comparison of two models.

n rows, K labels, V values, B bootstrap samples.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from bothways.training.objectives.metrics import spans

__all__ = [
    "FEW_ROWS",
    "Interval",
    "RowScores",
    "ScoreDifference",
    "compare",
    "compare_over_seeds",
    "interval_over_seeds",
    "wilson_interval",
]

FEW_ROWS = 100
"""Below this number of rows a score says little without its interval."""

Interval = tuple[float, float]
"""The ends of a 95 % confidence interval."""

Outcome = Literal["better", "equal", "worse"]

_Z = 1.959964
"""The 97.5 % quantile of the standard normal distribution."""
_SAMPLES = 2000
_LEVEL = 0.05
_MAX_WEIGHTS = 2**24
"""Largest number of bootstrap weights in memory at a time."""


@dataclasses.dataclass(frozen=True, eq=False)
class RowScores:
    """The predictions of a model for n rows, as terms whose sums over rows give its score.

    metric: `accuracy`, `micro_f1`, `span_f1` or `r2`. terms: (n, k). A bootstrap sample is a
    weight for each row, so its score is a function of weighted sums.
    """

    metric: str
    terms: np.ndarray

    @classmethod
    def of_classes(cls, predicted: np.ndarray, target: np.ndarray) -> "RowScores":
        """Accuracy: predicted and actual classes, (n,)."""
        return cls("accuracy", np.stack([predicted == target, np.ones(len(target))], axis=1))

    @classmethod
    def of_tags(
        cls, predicted: np.ndarray, target: np.ndarray, sequence: np.ndarray
    ) -> "RowScores":
        """Accuracy over positions, whose rows are sequences; all (positions,)."""
        correct = np.bincount(sequence, predicted == target)
        return cls("accuracy", np.stack([correct, np.bincount(sequence)], axis=1))

    @classmethod
    def of_spans(
        cls,
        predicted: np.ndarray,
        target: np.ndarray,
        sequence: np.ndarray,
        labels: Sequence[str],
    ) -> "RowScores":
        """F1 of whole spans, whose rows are sequences. labels: by the numbers of the tags."""
        starts = np.flatnonzero(np.diff(sequence, prepend=-1))
        terms = []
        for start, end in itertools.pairwise([*starts.tolist(), len(target)]):
            found, actual = (
                set(spans([labels[tag] for tag in tags[start:end].tolist()]))
                for tags in (predicted, target)
            )
            terms.append((2 * len(found & actual), len(found) + len(actual)))
        return cls("span_f1", np.array(terms, dtype=np.float64))

    @classmethod
    def of_labels(cls, predicted: np.ndarray, target: np.ndarray) -> "RowScores":
        """Micro F1: predicted and actual labels, bool (n, K)."""
        hits = (predicted & target).sum(axis=1)
        return cls("micro_f1", np.stack([2 * hits, predicted.sum(1) + target.sum(1)], axis=1))

    @classmethod
    def of_values(cls, predicted: np.ndarray, target: np.ndarray) -> "RowScores":
        """The mean R2 of V values, (n, V)."""
        centered = target - target.mean(axis=0)  # for precision: R2 does not depend on it
        parts = [np.square(predicted - target), np.square(centered), centered]
        return cls("r2", np.concatenate([*parts, np.ones((len(target), 1))], axis=1))

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(self.terms)

    @property
    def value(self) -> float:
        """The score of all rows."""
        return float(_SCORES[self.metric](self.terms.sum(axis=0, keepdims=True))[0])

    @property
    def is_of_single_predictions(self) -> bool:
        """Whether the score is the fraction of rows that are predicted correctly."""
        return self.metric == "accuracy" and bool((self.terms[:, 1] == 1).all())

    def interval(self) -> Interval:
        """The 95 % confidence interval: Wilson's for fractions of rows, else of the bootstrap."""
        if self.is_of_single_predictions:
            return wilson_interval(int(self.terms[:, 0].sum()), self.num_rows)
        return _percentiles(self.samples())

    def samples(self) -> np.ndarray:
        """The scores of 2,000 bootstrap samples of the rows, (B,); the same rows in each call.

        Efron 1979, "Bootstrap methods: another look at the jackknife".
        """
        (sums,) = _bootstrap_sums([self.terms])
        return _SCORES[self.metric](sums)


@dataclasses.dataclass(frozen=True)
class ScoreDifference:
    """The score of one model minus that of another on the same rows.

    interval: of the difference, at 95 %. outcome: whether the first is better or worse by more
    than chance explains.
    """

    value: float
    interval: Interval
    outcome: Outcome


def compare(first: RowScores, second: RowScores) -> ScoreDifference:
    """Compare two models on the same rows, in the same order.

    For fractions of rows by the exact test of McNemar 1947, "Note on the sampling error of the
    difference between correlated proportions or percentages"; for other scores by whether the
    bootstrap interval of the difference contains 0.
    """
    difference = first.value - second.value
    interval = _percentiles(first.samples() - second.samples())
    if first.is_of_single_predictions:
        wins = int((first.terms[:, 0] > second.terms[:, 0]).sum())
        losses = int((first.terms[:, 0] < second.terms[:, 0]).sum())
        is_clear = _sign_test(wins, losses) < _LEVEL
    else:
        is_clear = interval[0] > 0 or interval[1] < 0
    outcome: Outcome = "equal"
    if is_clear:
        outcome = "better" if difference > 0 else "worse"
    return ScoreDifference(difference, interval, outcome)


def interval_over_seeds(seeds: Sequence[RowScores]) -> Interval:
    """The 95 % interval of a score over seeds of training and over rows.

    seeds: the scores of the same rows by models of different seeds.
    """
    return _percentiles(_samples_over_seeds(seeds, stream=0))


def compare_over_seeds(
    first: Sequence[RowScores], second: Sequence[RowScores], *, comparisons: int = 1
) -> ScoreDifference:
    """Compare two ways of training on the same rows, each with models of several seeds.

    The bootstrap samples rows, the same for both, and seeds, for each its own. With one seed the
    difference of other seeds is not known, and the interval is too narrow.
    comparisons: number of comparisons that are made together. The more there are, the larger a
    difference must be (Bonferroni): one of twenty would seem clear by chance.
    """
    samples = _samples_over_seeds(first, stream=1) - _samples_over_seeds(second, stream=2)
    value = float(np.mean([s.value for s in first]) - np.mean([s.value for s in second]))
    interval = _percentiles(samples, level=_LEVEL / comparisons)
    outcome: Outcome = "equal"
    if interval[0] > 0 or interval[1] < 0:
        outcome = "better" if value > 0 else "worse"
    return ScoreDifference(value, interval, outcome)


def wilson_interval(successes: int, trials: int) -> Interval:
    """The 95 % interval of a fraction.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    >>> tuple(round(end, 3) for end in wilson_interval(3, 3))
    (0.438, 1.0)
    """
    share, square = successes / trials, _Z**2 / trials
    center = (share + square / 2) / (1 + square)
    half = math.sqrt(share * (1 - share) * square + square**2 / 4) / (1 + square)
    return max(center - half, 0.0), min(center + half, 1.0)


def _sign_test(wins: int, losses: int) -> float:
    """The two-sided p-value of so uneven numbers of wins and losses, if both are equally likely."""
    trials, fewer = wins + losses, min(wins, losses)
    logs = (
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        for k in range(fewer + 1)
    )
    tail = math.fsum(math.exp(log - trials * math.log(2)) for log in logs)
    return min(2 * tail, 1.0)


def _samples_over_seeds(seeds: Sequence[RowScores], *, stream: int) -> np.ndarray:
    """The mean scores of bootstrap samples of rows and of seeds, (B,)."""
    sums = np.stack(_bootstrap_sums([scores.terms for scores in seeds]))
    scores_SB = np.stack([_SCORES[seeds[0].metric](each) for each in sums])
    chosen = np.random.default_rng(stream).integers(len(seeds), size=(len(seeds), _SAMPLES))
    return np.asarray(np.take_along_axis(scores_SB, chosen, axis=0).mean(axis=0))


def _bootstrap_sums(terms: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The sums (B, k) of each of some terms (n, k) over the same bootstrap samples of n rows."""
    num_rows = len(terms[0])
    rng = np.random.default_rng(0)
    shares = np.full(num_rows, 1 / num_rows)
    size = max(_MAX_WEIGHTS // num_rows, 1)
    sums: list[list[np.ndarray]] = [[] for _ in terms]
    for start in range(0, _SAMPLES, size):
        count = min(size, _SAMPLES - start)
        weights = rng.multinomial(num_rows, shares, size=count)
        for each, parts in zip(terms, sums, strict=True):
            parts.append(weights @ each)
    return [np.concatenate(parts) for parts in sums]


def _percentiles(samples: np.ndarray, *, level: float = _LEVEL) -> Interval:
    low, high = np.percentile(samples, [50 * level, 100 - 50 * level]).tolist()
    return low, high


def _ratio(sums: np.ndarray) -> np.ndarray:
    return np.asarray(sums[:, 0] / np.maximum(sums[:, 1], 1e-12))


def _r2(sums: np.ndarray) -> np.ndarray:
    values = (sums.shape[1] - 1) // 3
    error, square, total = (sums[:, i * values : (i + 1) * values] for i in range(3))
    variance = square - np.square(total) / sums[:, -1:]
    is_constant = variance <= 1e-12 * np.maximum(square, 1e-300)
    share = 1 - error / np.where(is_constant, 1.0, variance)
    return np.asarray(np.where(is_constant, np.where(error == 0, 1.0, 0.0), share).mean(axis=1))


_SCORES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "accuracy": _ratio,
    "micro_f1": _ratio,
    "span_f1": _ratio,
    "r2": _r2,
}

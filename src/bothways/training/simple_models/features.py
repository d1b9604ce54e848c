"""Features of sequences for simple models: n-grams, one-hot positions and summaries of series.

n rows; L positions; C channels of a series; F features.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bothways.model.linear_terms import SeriesTerm
from bothways.reference.series_features import series_features

__all__ = ["flat", "ngrams", "random_convolutions", "same_length", "summary"]


def ngrams(ids: np.ndarray, longest: int = 4) -> Iterator[tuple[int, ...]]:
    """The n-grams of a sequence of ids (L,), of 1 to `longest` ids."""
    tokens = ids.tolist()
    for size in range(1, longest + 1):
        for start in range(len(tokens) - size + 1):
            yield tuple(tokens[start : start + size])


def same_length(sequences: Sequence[np.ndarray]) -> bool:
    """Whether all sequences have the same number of positions, so that positions correspond."""
    return len({len(sequence) for sequence in sequences}) == 1


def flat(sequences: Sequence[np.ndarray]) -> np.ndarray:
    """Sequences of equal length as rows: ids or values of each position, (n, L) or (n, L x C)."""
    return np.stack([sequence.ravel() for sequence in sequences])


def summary(series: Sequence[np.ndarray]) -> np.ndarray:
    """Statistics of each channel and the length of each series, (n, F)."""
    return series_features(series, SeriesTerm(features="summary", length=0, layers_scale=0.0))


def random_convolutions(
    series: Sequence[np.ndarray], *, shortest: int, num_kernels: int = 500, seed: int = 0
) -> np.ndarray:
    """The share of positive outputs and the highest output of each random kernel, (n, F).

    Dempster et al. 2020, "ROCKET: exceptionally fast and accurate time series classification using
    random convolutional kernels", section 3, with fewer kernels. shortest: length of the shortest
    series, which bounds the reach of kernels; the same number and seed give the same kernels.
    """
    rng = np.random.default_rng(seed)
    kernels = [_Kernel.draw(rng, shortest, series[0].shape[1]) for _ in range(num_kernels)]
    lengths = np.array([len(each) for each in series])
    features_nF = np.empty((len(series), 2 * num_kernels))
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        stacked_nLC = np.stack([series[row] for row in rows.tolist()])
        features_nF[rows] = np.concatenate([k.features(stacked_nLC) for k in kernels], axis=1)
    return features_nF


class _Kernel(NamedTuple):
    """A random kernel.

    weights: (size, channels that it reads). channels: their numbers. is_padded: whether it also
    reads beyond both ends.
    """

    weights: np.ndarray
    channels: np.ndarray
    bias: float
    dilation: int
    is_padded: bool

    @classmethod
    def draw(cls, rng: np.random.Generator, length: int, channels: int) -> "_Kernel":
        """Draw a kernel for series of at least `length` positions."""
        size = int(rng.choice([size for size in (7, 9, 11) if size <= length] or [length]))
        count = min(int(2 ** rng.uniform(0, np.log2(channels + 1))), channels)
        chosen = rng.choice(channels, size=count, replace=False)
        weights = rng.standard_normal((size, count))
        largest = np.log2((length - 1) / (size - 1)) if size > 1 else 0.0
        dilation = int(2 ** rng.uniform(0, max(largest, 0.0)))
        bias, is_padded = float(rng.uniform(-1, 1)), bool(rng.integers(2))
        return cls(weights - weights.mean(axis=0), chosen, bias, dilation, is_padded)

    def features(self, series_nLC: np.ndarray) -> np.ndarray:
        """The share of positive outputs and the highest output for each series, (n, 2)."""
        size = len(self.weights)
        reach = (size - 1) * self.dilation
        values = series_nLC[:, :, self.channels]
        if self.is_padded or values.shape[1] <= reach:
            before = reach // 2
            values = np.pad(values, ((0, 0), (before, reach - before), (0, 0)))
        count = values.shape[1] - reach
        output = np.full((len(values), count), self.bias)
        for tap in range(size):
            start = tap * self.dilation
            output += values[:, start : start + count] @ self.weights[tap]
        return np.stack([(output > 0).mean(axis=1), output.max(axis=1)], axis=1)

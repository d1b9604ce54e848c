"""Features of a series as a whole, from the vectors that its encoder reads.

L positions; C channels, those of the vectors; F features; n series.
"""

from collections.abc import Sequence

import numpy as np

from bothways.model.linear_terms import SeriesTerm

__all__ = ["series_features"]

_QUANTILES = (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)


def series_features(series: Sequence[np.ndarray], term: SeriesTerm) -> np.ndarray:
    """The features of each series, float64 (n, F).

    moments:    mean, standard deviation and maximum of each channel; of a stem's vectors, the mean
                of a channel is MiniRocket's share of positive outputs of a kernel
    summary:    mean, standard deviation, first and last value, slope, mean size and deviation of
                the steps from one position to the next, share of the steps that turn, minimum,
                maximum and five quantiles of each channel; and the number of positions
    positions:  the values of the first `length` positions; 0 where there is none
    """
    width = series[0].shape[1] if len(series) else 0
    features_nF = np.empty((len(series), term.num_features(width)))
    for row, x_LC in enumerate(series):
        features_nF[row] = _features(x_LC.astype(np.float64), term)
    return features_nF


def _features(x_LC: np.ndarray, term: SeriesTerm) -> np.ndarray:
    match term.features:
        case "positions":
            values_LC = np.zeros((term.length, x_LC.shape[1]))
            values_LC[: len(x_LC)] = x_LC[: term.length]
            return values_LC.ravel()
        case "moments":
            return np.concatenate([x_LC.mean(axis=0), x_LC.std(axis=0), x_LC.max(axis=0)])
        case "summary":
            return np.append(_statistics(x_LC), len(x_LC))


def _statistics(x_LC: np.ndarray) -> np.ndarray:
    step_LC = np.diff(x_LC, axis=0) if len(x_LC) > 1 else np.zeros_like(x_LC)
    turn_LC = np.sign(step_LC[1:]) != np.sign(step_LC[:-1])
    place_L = np.linspace(-1, 1, len(x_LC))
    statistics = [
        x_LC.mean(axis=0),
        x_LC.std(axis=0),
        x_LC[0],
        x_LC[-1],
        place_L @ x_LC / max(float(place_L @ place_L), 1.0),
        np.abs(step_LC).mean(axis=0),
        step_LC.std(axis=0),
        turn_LC.mean(axis=0) if len(turn_LC) else np.zeros(x_LC.shape[1]),
        *np.quantile(x_LC, _QUANTILES, axis=0),
    ]
    return np.concatenate(statistics)

"""Cross entropy of labels, and what is told of it.

N targets; K labels.
"""

import numpy as np
from torch import Tensor
from torch.nn import functional

from bothways.errors import ConfigError
from bothways.model.heads import Head

__all__ = ["check_smoothing", "check_weights", "cross_entropy", "weighted_mean"]


def cross_entropy(logit_NK: Tensor, label_N: Tensor, smoothing: float = 0.0) -> Tensor:
    """Of each target, (N,): (1 - s) (-log p of its label) + s (the mean of -log p of all labels).

    Szegedy et al. 2016, "Rethinking the Inception architecture", section 7.
    """
    return functional.cross_entropy(logit_NK, label_N, reduction="none", label_smoothing=smoothing)


def weighted_mean(loss: np.ndarray, weights: np.ndarray) -> float:
    """The mean of losses that are multiplied by their weights already."""
    return float(loss.sum(dtype=np.float64) / weights.sum(dtype=np.float64))


def check_smoothing(smoothing: float) -> None:
    """Raise unless it is a share.

    Raises:
        ConfigError: naming the value, and what it may be.
    """
    if not 0 <= smoothing < 1:
        raise ConfigError(f"label_smoothing={smoothing}: expected at least 0, below 1")


def check_weights(field: str, weights: np.ndarray, head: Head) -> None:
    """Raise unless there is a weight of at least 0 for each label.

    Raises:
        ConfigError: naming the field, what is wrong, and what was expected.
    """
    if weights.shape != (head.num_outputs,):
        raise ConfigError(
            f"{field}: {weights.size} numbers for {head.num_outputs} labels; give one for each"
        )
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ConfigError(f"{field}={weights.tolist()}: expected finite numbers of at least 0")

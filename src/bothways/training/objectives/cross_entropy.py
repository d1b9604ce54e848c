"""Cross-entropy of labels, with checks of its options.

N targets; K labels.
"""

import numpy as np
from torch import Tensor
from torch.nn import functional

from bothways.errors import ConfigError
from bothways.model.heads import Head

__all__ = ["check_smoothing", "check_weights", "cross_entropy", "weighted_mean"]


def cross_entropy(logit_NK: Tensor, label_N: Tensor, smoothing: float = 0.0) -> Tensor:
    """The loss of each target, (N,): (1 - s) (-log p[label]) + s mean(-log p), s the smoothing.

    Szegedy et al. 2016, "Rethinking the Inception architecture", section 7.
    """
    return functional.cross_entropy(logit_NK, label_N, reduction="none", label_smoothing=smoothing)


def weighted_mean(loss: np.ndarray, weights: np.ndarray) -> float:
    """The weighted mean of losses that are already multiplied by their weights."""
    return float(loss.sum(dtype=np.float64) / weights.sum(dtype=np.float64))


def check_smoothing(smoothing: float) -> None:
    """Check the label smoothing.

    Raises:
        ConfigError: unless it is at least 0 and below 1.
    """
    if not 0 <= smoothing < 1:
        raise ConfigError(f"label_smoothing={smoothing}: expected at least 0 and below 1")


def check_weights(field: str, weights: np.ndarray, head: Head) -> None:
    """Check the weights of labels.

    Raises:
        ConfigError: unless there is a finite weight of at least 0 for each label.
    """
    if weights.shape != (head.num_outputs,):
        raise ConfigError(
            f"{field}: {weights.size} weights for {head.num_outputs} labels; expected one per label"
        )
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ConfigError(f"{field}={weights.tolist()}: expected finite numbers of at least 0")

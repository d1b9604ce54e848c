"""Settings without open values, chosen for the data and the device of a run."""

import dataclasses
import math
from typing import Any

import numpy as np

from bothways.model.packing import DEFAULT_MAX_TOKENS
from bothways.training.settings import TrainingPrecision, TrainingSettings

__all__ = ["ResolvedSettings", "count_steps", "resolve_settings", "steps_per_epoch"]

DEFAULT_BATCH_TOKENS = 4096
MIN_STEPS_PER_EPOCH = 32
"""Steps in an epoch that the default step size aims for on small data."""
MIN_SEQUENCES_PER_STEP = 8
"""Sequences in a step that the default step size keeps, so that the gradient is not mere noise."""

_EPOCHS, _MIN_STEPS = 20.0, 640
_EMA, _LAYER_DECAY = 0.1, 0.9
_GPU_MICRO_TOKENS = 32_768
_MAX_LOG_LINES = 10_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResolvedSettings(TrainingSettings):
    """Settings without open values, from `resolve_settings`."""

    epochs: float
    batch_tokens: int
    micro_tokens: int
    learning_rate: float
    layer_decay: float
    ema: float
    validate_every: int
    checkpoint_every: int
    log_every: int
    precision: TrainingPrecision

    def total_steps(self, steps_per_epoch: int) -> int:
        """Number of updates in the whole run."""
        return count_steps(self.epochs, self.max_steps, steps_per_epoch)


def resolve_settings(
    settings: TrainingSettings,
    lengths: np.ndarray,
    *,
    from_scratch: bool,
    gpu: bool,
    bf16: bool,
    max_epochs: float = 20.0,
) -> ResolvedSettings:
    """Choose every open value for training examples of these lengths.

    lengths: tokens of each example, int64 (n,). from_scratch: whether training starts from random
    weights. gpu: whether it runs on a GPU. bf16: whether that GPU supports bf16. max_epochs: of a
    new model on few rows.
    """
    batch_tokens = settings.batch_tokens or _default_batch_tokens(lengths)
    steps = steps_per_epoch(lengths, batch_tokens)
    epochs = settings.epochs
    if epochs is None:
        # 4: Devlin et al. 2019, appendix A.3
        fine_tuning = _EPOCHS if settings.frozen else 4.0
        epochs = _epochs_from_scratch(steps, max_epochs) if from_scratch else fine_tuning
        if settings.max_steps is not None:
            epochs = settings.max_steps / steps
    defaults: dict[str, Any] = {
        "epochs": epochs,
        "batch_tokens": batch_tokens,
        "micro_tokens": _GPU_MICRO_TOKENS if gpu else DEFAULT_MAX_TOKENS,
        "learning_rate": 3e-3 if settings.frozen else 1e-3 if from_scratch else 5e-5,
        "layer_decay": 1.0 if from_scratch or settings.frozen else _LAYER_DECAY,
        "ema": _EMA if from_scratch else 0.0,
        "precision": "bf16" if gpu and bf16 else "fp32",
    }
    total = count_steps(epochs, settings.max_steps, steps)
    defaults["validate_every"] = min(steps, math.ceil(total / 10))
    defaults["checkpoint_every"] = settings.validate_every or defaults["validate_every"]
    defaults["log_every"] = math.ceil(total / _MAX_LOG_LINES)
    given = {name: value for name, value in settings.to_dict().items() if value is not None}
    return ResolvedSettings(**defaults | given)


def steps_per_epoch(lengths: np.ndarray, batch_tokens: int) -> int:
    """Number of steps that see every example once.

    At most total tokens // longest example, so that no step is empty.
    """
    total, longest = int(lengths.sum()), int(lengths.max())
    return min(math.ceil(total / batch_tokens), total // longest)


def _default_batch_tokens(lengths: np.ndarray) -> int:
    """Tokens per step where the user gives none.

    On 270 short series, 20 epochs of 2, 5 and 17 steps reached 82, 96 and 97 % accuracy in
    cross-validation: many small steps learn more than a few large ones.
    """
    tokens = float(
        max(lengths.sum() / MIN_STEPS_PER_EPOCH, lengths.mean() * MIN_SEQUENCES_PER_STEP)
    )
    return min(math.ceil(tokens), DEFAULT_BATCH_TOKENS)


def _epochs_from_scratch(steps_per_epoch: int, max_epochs: float) -> float:
    """20 epochs, more on data of few steps: weights need a number of updates to be learned.

    Of 25 series of 286 positions, 80 steps learned nothing, and 240 what tells them apart.
    """
    return min(max(_MIN_STEPS / steps_per_epoch, _EPOCHS), max_epochs)


def count_steps(epochs: float, max_steps: int | None, steps_per_epoch: int) -> int:
    """Number of updates in a run of `epochs`, at most `max_steps`."""
    steps = max(round(epochs * steps_per_epoch), 1)
    return steps if max_steps is None else min(steps, max_steps)

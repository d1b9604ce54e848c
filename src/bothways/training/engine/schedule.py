"""Learning rate schedules: a linear warm-up, then a decay."""

import math
from typing import assert_never

from bothways.training.settings import Schedule

__all__ = ["learning_rate"]


def learning_rate(
    step: int, total_steps: int, *, peak: float, warmup_steps: int, schedule: Schedule
) -> float:
    """The learning rate of a step, counted from 0.

    It rises linearly to `peak` at the last warm-up step, as in Devlin et al. 2019 (appendix A.2),
    and then decays to 0 just after the last step, so that every step updates the weights.
    Cosine: Loshchilov and Hutter 2017, "SGDR", eq. 5, without restarts.

    >>> [learning_rate(step, 4, peak=1.0, warmup_steps=2, schedule="linear") for step in range(4)]
    [0.5, 1.0, 0.6666666666666666, 0.33333333333333337]
    """
    if step < warmup_steps:
        return peak * ((step + 1) / warmup_steps)
    # The fraction of the decay that has passed: 0 at the last warm-up step, 1 after the last step.
    passed = (step + 1 - warmup_steps) / (total_steps + 1 - warmup_steps)
    match schedule:
        case "linear":
            return peak * (1 - passed)
        case "cosine":
            return peak * (1 + math.cos(math.pi * passed)) / 2
        case "constant":
            return peak
        case unknown:
            assert_never(unknown)

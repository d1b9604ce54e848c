"""Train small models on generated batches, with a learning rate chosen the same way for each.

The examples never run out, so there are no files, no validation during training and no dataset.
Optimizer, schedule, clipping and dropout seeds are those of `bothways.training.engine`: what the
lab measures holds for `bothways train`.
"""

import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from bothways.lab.settings import LEARNING_RATES
from bothways.training.engine.optimizer import make_optimizer, set_learning_rate
from bothways.training.engine.rng import torch_seed
from bothways.training.engine.schedule import learning_rate
from bothways.training.engine.step import backward, clip_gradients, zero_gradients
from bothways.training.engine.torch_setup import torch_for_training
from bothways.training.model import Batch
from bothways.training.resolved_settings import ResolvedSettings, resolve_settings
from bothways.training.settings import TrainingSettings

__all__ = [
    "FitResult",
    "LearningRateSearch",
    "downsample",
    "fit",
    "search_learning_rate",
    "to_json_dict",
]

M = TypeVar("M", bound=nn.Module)


@dataclasses.dataclass(frozen=True)
class FitResult:
    """The record of one training run.

    losses: of each step, before its update. seconds: of the whole run. tokens: read by the encoder.
    finished: False if the run stopped early, at a loss or gradient that is NaN or infinite; the
        model then has the weights from before that step.
    """

    losses: tuple[float, ...]
    seconds: float
    tokens: int
    finished: bool

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, for JSON."""
        return {**dataclasses.asdict(self), "losses": list(self.losses)}


def fit(
    model: M,
    batches: Callable[[int], Batch],
    loss: Callable[[M, Batch], Tensor],
    *,
    steps: int,
    peak_learning_rate: float,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> FitResult:
    """Train `model` in place for `steps` updates; the same arguments give the same bits.

    batches: returns the batch of a step, from step 0. loss: returns the mean over the batch's
        targets. seed: of dropout. progress: called after each step with the completed fraction.

    The defaults of `bothways train` apply, except that weights are not averaged: the learning rate
    rises to its peak over a tenth of the steps and then falls linearly to 0, AdamW decays matrices
    only, and the gradient norm is clipped at 1.
    """
    settings = _training_settings(steps, peak_learning_rate, seed)
    warmup_steps = round(settings.warmup * steps)
    losses: list[float] = []
    tokens, finished, start = 0, True, time.perf_counter()
    with torch_for_training(torch.device("cpu"), None):
        optimizer = make_optimizer(model.train(), settings)
        for step in range(steps):
            batch = batches(step)
            torch.manual_seed(torch_seed(seed, step))
            zero_gradients(model)
            batch_loss = loss(model, batch)
            backward(batch_loss)
            losses.append(float(batch_loss.detach()))
            tokens += batch.lengths.num_tokens
            if progress is not None:
                progress((step + 1) / steps)
            norm = clip_gradients(model, settings.clip_norm)
            if not (math.isfinite(losses[-1]) and math.isfinite(norm)):
                finished = False
                break
            rate = learning_rate(
                step,
                steps,
                peak=peak_learning_rate,
                warmup_steps=warmup_steps,
                schedule=settings.schedule,
            )
            set_learning_rate(optimizer, rate)
            optimizer.step()
    model.eval()
    return FitResult(tuple(losses), time.perf_counter() - start, tokens, finished)


@dataclasses.dataclass(frozen=True, eq=False)
class LearningRateSearch(Generic[M]):
    """The best learning rate, and the model of each seed at that rate.

    scores: of the first seed at each rate of the grid, on the validation stream.
    models, fits: by seed.
    """

    learning_rate: float
    scores: dict[float, float]
    models: dict[int, M]
    fits: dict[int, FitResult]


def search_learning_rate(
    build: Callable[[int], M],
    batches: Callable[[int, int], Batch],
    loss: Callable[[M, Batch], Tensor],
    score: Callable[[M], float],
    *,
    steps: int,
    seeds: Sequence[int],
    learning_rates: Sequence[float] = LEARNING_RATES,
    progress: Callable[[float], None] | None = None,
) -> LearningRateSearch[M]:
    """Choose the learning rate of an architecture, then train it from every seed.

    The first seed is trained at each rate, with the full number of steps. The rate with the best
    score, on examples that are neither trained on nor reported, is used for all seeds. So every
    architecture gets the same number of trials and a rate of its own.

    build: returns a new model for a seed. batches: returns the batch of a seed and a step; each
        seed has its own stream. score: higher is better; ties go to the smaller rate.
    progress: called after each step with the completed fraction of all runs.
    """
    num_runs = len(learning_rates) + len(seeds) - 1
    run_numbers = itertools.count()

    def train(seed: int, rate: float) -> tuple[M, FitResult]:
        model, number = build(seed), next(run_numbers)
        result = fit(
            model,
            functools.partial(batches, seed),
            loss,
            steps=steps,
            peak_learning_rate=rate,
            seed=seed,
            progress=None if progress is None else lambda x: progress((number + x) / num_runs),
        )
        return model, result

    trials = {rate: train(seeds[0], rate) for rate in sorted(learning_rates)}
    scores = {rate: score(model) for rate, (model, _) in trials.items()}
    best = max(scores, key=scores.__getitem__)
    runs = {seeds[0]: trials[best]} | {seed: train(seed, best) for seed in seeds[1:]}
    return LearningRateSearch(
        best,
        scores,
        {seed: model for seed, (model, _) in runs.items()},
        {seed: result for seed, (_, result) in runs.items()},
    )


def downsample(losses: Sequence[float], points: int = 50) -> list[float]:
    """A loss curve as the means of at most `points` equal parts, short enough for a JSON file.

    >>> downsample([4.0, 2.0, 1.0, 1.0], points=2)
    [3.0, 1.0]
    """
    parts = np.array_split(np.asarray(losses, float), min(points, len(losses)))
    return [float(f"{part.mean():.4g}") for part in parts]


class HasLosses(Protocol):
    """A dataclass with the training losses of each seed."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def losses(self) -> Mapping[int, Sequence[float]]:
        """The loss of each step, by seed."""


def to_json_dict(result: HasLosses) -> dict[str, Any]:
    """The fields by name, with downsampled loss curves."""
    losses = {seed: downsample(curve) for seed, curve in result.losses.items()}
    return dataclasses.asdict(result) | {"losses": losses}


def _training_settings(steps: int, peak_learning_rate: float, seed: int) -> ResolvedSettings:
    """The settings of `bothways train` that concern an update."""
    settings = TrainingSettings(max_steps=steps, learning_rate=peak_learning_rate, seed=seed)
    # The lengths only matter for choosing the tokens of a step, which the task does here.
    return resolve_settings(
        settings, np.ones(1, np.int64), from_scratch=True, gpu=False, bf16=False
    )

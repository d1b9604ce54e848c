"""Train a small model on batches that a task makes as they are asked for, and do so fairly.

No files, no validation along the way, no dataset: what is left of the training loop when examples
never end. Its optimizer, schedule and clipping are those of `bothways.training`, so that what the
lab finds of an encoder holds for `bothways train`.
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

from bothways.training.engine.optimizer import make_optimizer, set_learning_rate
from bothways.training.engine.rng import torch_seed
from bothways.training.engine.schedule import learning_rate
from bothways.training.engine.step import backward, clip_gradients, zero_gradients
from bothways.training.engine.torch_setup import torch_for_training
from bothways.training.model import Batch
from bothways.training.resolved_settings import ResolvedSettings, resolve_settings
from bothways.training.settings import TrainingSettings

__all__ = [
    "ALL_LEARNING_RATES",
    "LEARNING_RATES",
    "TASK_LEARNING_RATES",
    "Fitted",
    "Search",
    "fit",
    "recorded",
    "search",
    "thinned",
]

M = TypeVar("M", bound=nn.Module)
"""A kind of model."""

LEARNING_RATES = (5e-4, 1.5e-3, 5e-3)
"""The one grid of highest learning rates, for every encoder: a factor of 3 apart, around the rate
that suits small models."""

TASK_LEARNING_RATES = (1.5e-3, 5e-3, 1.5e-2)
"""The same for models as small as those of generated tasks, `d_model` 64 and less: a step higher,
as many of them had their best rate at the highest of the other grid."""

ALL_LEARNING_RATES = (LEARNING_RATES[0], *TASK_LEARNING_RATES)
"""Both grids in one, for long versions."""


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What a run came to.

    losses: of each step, before its update. seconds: of the whole run. tokens: that the encoder
    read. finished: False if the run ended early, at a loss or gradient that was not a finite
    number; the weights are those before that step.
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
    peak_rate: float,
    seed: int,
    told: Callable[[float], None] | None = None,
) -> Fitted:
    """Train `model` in place, for `steps` updates; the same arguments give the same bits.

    batches: the batch of a step, from 0 on. loss: the mean over the batch's targets. seed: of
    dropout. told: called in each step with the share of steps that is done.

    The rate grows for a tenth of the steps to `peak_rate` and falls to 0 in a straight line, AdamW
    lets matrices decay, gradients are clipped at norm 1: the defaults of `bothways train`.
    """
    settings = _settings(steps, peak_rate, seed)
    warmup_steps = round(settings.warmup * steps)
    losses: list[float] = []
    tokens, finished, begun = 0, True, time.perf_counter()
    with torch_for_training(torch.device("cpu"), None):
        optimizer = make_optimizer(model.train(), settings)
        for step in range(steps):
            batch = batches(step)
            torch.manual_seed(torch_seed(seed, step))
            zero_gradients(model)
            found = loss(model, batch)
            backward(found)
            losses.append(float(found.detach()))
            tokens += batch.lengths.num_tokens
            if told is not None:
                told((step + 1) / steps)
            norm = clip_gradients(model, settings.clip_norm)
            if not (math.isfinite(losses[-1]) and math.isfinite(norm)):
                finished = False
                break
            rate = learning_rate(
                step,
                steps,
                peak=peak_rate,
                warmup_steps=warmup_steps,
                schedule=settings.schedule,
            )
            set_learning_rate(optimizer, rate)
            optimizer.step()
    model.eval()
    return Fitted(tuple(losses), time.perf_counter() - begun, tokens, finished)


@dataclasses.dataclass(frozen=True, eq=False)
class Search(Generic[M]):
    """The rate that was chosen, and the models of all seeds at that rate.

    scores: of the first seed at each rate of the grid, on the validation stream. models, fitted:
    one for each seed.
    """

    rate: float
    scores: dict[float, float]
    models: tuple[M, ...]
    fitted: tuple[Fitted, ...]


def search(
    build: Callable[[int], M],
    batches: Callable[[int, int], Batch],
    loss: Callable[[M, Batch], Tensor],
    score: Callable[[M], float],
    *,
    steps: int,
    seeds: Sequence[int],
    rates: Sequence[float] = LEARNING_RATES,
    told: Callable[[float], None] | None = None,
) -> Search[M]:
    """Choose a learning rate for a kind of model, then train it from every seed.

    The first seed is trained at each rate, for as long as any other; the rate of the best `score`
    (on examples that are neither trained on nor reported) is used for all seeds. So every kind of
    model gets the same number of trials, and none a rate that suits another.

    build: a fresh model from a seed. batches: of a seed and a step: each seed has its own stream.
    score: higher is better; of equal scores the smaller rate is taken. told: called in each step
    with the share of all steps that is done.
    """

    runs = len(rates) + len(seeds) - 1
    numbers = itertools.count()

    def train(seed: int, rate: float) -> tuple[M, Fitted]:
        model, number = build(seed), next(numbers)
        fitted = fit(
            model,
            functools.partial(batches, seed),
            loss,
            steps=steps,
            peak_rate=rate,
            seed=seed,
            told=None if told is None else lambda share: told((number + share) / runs),
        )
        return model, fitted

    tried = {rate: train(seeds[0], rate) for rate in sorted(rates)}
    scores = {rate: score(model) for rate, (model, _) in tried.items()}
    best = max(scores, key=scores.__getitem__)
    trained = [tried[best], *(train(seed, best) for seed in seeds[1:])]
    models, fitted = zip(*trained, strict=True)
    return Search(best, scores, models, fitted)


def thinned(losses: Sequence[float], points: int = 50) -> list[float]:
    """A loss curve as the means of so many equal stretches of it, for a file that is read.

    >>> thinned([4.0, 2.0, 1.0, 1.0], points=2)
    [3.0, 1.0]
    """
    stretches = np.array_split(np.asarray(losses, float), min(points, len(losses)))
    return [float(f"{stretch.mean():.4g}") for stretch in stretches]


class HasLosses(Protocol):
    """A dataclass of what was found, with the losses of training by seed."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def losses(self) -> Mapping[int, Sequence[float]]:
        """Of each step."""


def recorded(found: HasLosses) -> dict[str, Any]:
    """What was found, for JSON; of the losses, their course."""
    losses = {seed: thinned(curve) for seed, curve in found.losses.items()}
    return dataclasses.asdict(found) | {"losses": losses}


def _settings(steps: int, peak_rate: float, seed: int) -> ResolvedSettings:
    """The settings of `bothways train`, as far as they concern an update."""
    chosen = TrainingSettings(max_steps=steps, learning_rate=peak_rate, seed=seed)
    # There are no examples to count: a step's tokens are the task's business.
    return resolve_settings(chosen, np.ones(1, np.int64), from_scratch=True, gpu=False, bf16=False)

"""Measure the accuracy of associative recall, and its gradients, by distance.

One position of a sequence holds what another position needs; only their distance varies.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, get_args

import numpy as np
import torch

from bothways.lab.comparison import ComparisonProgress, progress_within
from bothways.lab.comparisons.distance.settings import DistanceSettings
from bothways.lab.models.associative_recall import (
    AssociativeRecallModel,
    input_gradient_norm,
    pack_examples,
    recall_accuracy,
    recall_loss,
)
from bothways.lab.parameter_counts import ParameterCounts
from bothways.lab.tasks.base import Split
from bothways.lab.training import search_learning_rate, to_json_dict
from bothways.model.baselines import EncoderName
from bothways.nn.baselines import make_encoder
from bothways.training.engine.rng import generator
from bothways.training.model import Batch

__all__ = [
    "DistanceResult",
    "RecallResult",
    "build_model",
    "run_distance",
    "training_distances",
]


@dataclasses.dataclass(frozen=True)
class RecallResult:
    """The result of one encoder.

    layers, width: of the encoder. learning_rate: the best one, by `scores`: the accuracy of the
        first seed at each rate. accuracies: fraction of right answers, by seed and distance.
    initial_gradients, trained_gradients: `input_gradient_norm` before and after training, by seed
        and distance. losses: of each step, by seed. tokens: positions read in a run.
    seconds: of training all seeds.
    """

    parameters: ParameterCounts
    layers: int
    width: int
    learning_rate: float
    scores: Mapping[float, float]
    accuracies: Mapping[int, Mapping[int, float]]
    initial_gradients: Mapping[int, Mapping[int, float]]
    trained_gradients: Mapping[int, Mapping[int, float]]
    losses: Mapping[int, tuple[float, ...]]
    tokens: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class DistanceResult:
    """The result of each encoder, by name."""

    settings: DistanceSettings
    encoders: Mapping[EncoderName, RecallResult]

    def to_dict(self) -> dict[str, Any]:
        """All fields, for JSON; loss curves are downsampled."""
        return {
            "settings": dataclasses.asdict(self.settings),
            "encoders": {name: to_json_dict(encoder) for name, encoder in self.encoders.items()},
        }


def run_distance(settings: DistanceSettings, progress: ComparisonProgress) -> DistanceResult:
    """Train each encoder from every seed, and evaluate it at every distance."""
    names = [name for name in get_args(EncoderName) if name in settings.encoders]
    results = {}
    for number, name in enumerate(names):
        start, size = number / len(names), 1 / len(names)
        advance = progress_within(progress, f"training {name}", start, size)
        results[name] = _run_encoder(settings, name, advance)
    return DistanceResult(settings, results)


def build_model(settings: DistanceSettings, name: EncoderName, seed: int) -> AssociativeRecallModel:
    """A model with new weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = make_encoder(settings.encoder_config(name), seed=seed)
        return AssociativeRecallModel(encoder, settings.num_values)


def _run_encoder(
    settings: DistanceSettings, name: EncoderName, progress: Callable[[float], None]
) -> RecallResult:
    search = search_learning_rate(
        functools.partial(build_model, settings, name),
        functools.partial(_training_batch, settings),
        recall_loss,
        lambda model: float(np.mean(list(_accuracies(settings, model, "validation").values()))),
        steps=settings.steps,
        seeds=settings.seeds,
        learning_rates=settings.learning_rates,
        progress=progress,
    )
    models, fits = search.models, search.fits
    config = settings.encoder_config(name)
    return RecallResult(
        parameters=ParameterCounts.of(models[settings.seeds[0]]),
        layers=config.num_layers,
        width=config.d_model,
        learning_rate=search.learning_rate,
        scores=search.scores,
        accuracies={seed: _accuracies(settings, model, "test") for seed, model in models.items()},
        initial_gradients={
            seed: _gradients(settings, build_model(settings, name, seed)) for seed in settings.seeds
        },
        trained_gradients={seed: _gradients(settings, model) for seed, model in models.items()},
        losses={seed: fit.losses for seed, fit in fits.items()},
        tokens=max(fit.tokens for fit in fits.values()),
        seconds=sum(fit.seconds for fit in fits.values()),
    )


def training_distances(settings: DistanceSettings, seed: int, step: int) -> list[int]:
    """The distances of a step's sequences, uniform in their logarithm.

    So each doubling of the distance is trained equally often; uniform distances would put half of
    the sequences into the last doubling.
    """
    task = settings.task
    fraction = generator(seed, "order", step).random(settings.batch_size)
    distances = task.min_distance * ((task.max_distance + 1) / task.min_distance) ** fraction
    return [int(distance) for distance in distances]


def _training_batch(settings: DistanceSettings, seed: int, step: int) -> Batch:
    distances = training_distances(settings, seed, step)
    return pack_examples(settings.task.sample(distances, seed=seed, step=step))


def _examples(settings: DistanceSettings, distance: int, split: Split) -> Batch:
    """Examples at one distance, the same for all models."""
    distances = [distance] * settings.eval_sequences
    return pack_examples(settings.task.sample(distances, seed=0, step=distance, split=split))


def _accuracies(
    settings: DistanceSettings, model: AssociativeRecallModel, split: Split
) -> dict[int, float]:
    return {
        distance: recall_accuracy(model, _examples(settings, distance, split))
        for distance in settings.evaluated_distances
    }


def _gradients(settings: DistanceSettings, model: AssociativeRecallModel) -> dict[int, float]:
    return {
        distance: input_gradient_norm(model, _examples(settings, distance, "test"), distance)
        for distance in settings.evaluated_distances
    }

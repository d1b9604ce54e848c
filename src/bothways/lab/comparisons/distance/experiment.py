"""How right encoders are by the distance of what they need, and how much of it they feel.

One position of a sequence holds what another needs; how far apart they are is all that changes.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, get_args

import numpy as np
import torch

from bothways.errors import ConfigError
from bothways.lab.comparison import Progress, part
from bothways.lab.models.associative_recall import (
    Recaller,
    answer_loss,
    gradient_size,
    pack,
    share_right,
)
from bothways.lab.tasks.associative_recall import Recall
from bothways.lab.tasks.base import Stream
from bothways.lab.training import TASK_LEARNING_RATES, recorded, search
from bothways.model.baselines import AnyConfig, EncoderName, matched_config
from bothways.model.config import EncoderConfig
from bothways.nn.baselines import count_parameters, make_encoder
from bothways.training.engine.rng import generator
from bothways.training.model import Batch
from bothways.training.setup.sizes import new_config

__all__ = ["DistanceResult", "DistanceSettings", "Found", "run_distance", "training_distances"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistanceSettings:
    """What is compared.

    encoders: of `baselines.EncoderName`. length: of all sequences, in positions; num_pairs,
        num_keys, num_values: see `tasks.recall.Recall`.
    steps: updates of each run; batch: sequences of a step. examples: of each distance, judged.
    seeds: of weights and sequences; the first chooses the rate, of `rates`.
    d_model, num_layers, num_heads: of the Transformer; the others have as many weights.

    Raises:
        ConfigError: naming the field, its value, and what it may be.
    """

    encoders: tuple[str, ...] = ("transformer", "convolution", "lstm", "gru", "rnn")
    length: int = 66
    num_pairs: int = 2
    num_keys: int = 8
    num_values: int = 8
    steps: int = 600
    batch: int = 32
    examples: int = 200
    seeds: tuple[int, ...] = (0, 1, 2)
    rates: tuple[float, ...] = TASK_LEARNING_RATES
    d_model: int = 32
    num_layers: int = 2
    num_heads: int = 4

    def __post_init__(self) -> None:
        known = get_args(EncoderName)
        for name in self.encoders:
            if name not in known:
                raise ConfigError(f"encoder {name!r}: expected one of {', '.join(known)}")
        for field in ("encoders", "seeds", "rates"):
            values = getattr(self, field)
            if not values or len(set(values)) < len(values):
                raise ConfigError(f"{field}={values}: expected at least one, and none twice")
        for field in ("steps", "batch", "examples", "num_layers"):
            if getattr(self, field) < 1:
                raise ConfigError(f"{field}={getattr(self, field)}: expected at least 1")

    @property
    def task(self) -> Recall:
        """What is asked."""
        return Recall(self.length, self.num_pairs, self.num_keys, self.num_values)

    @property
    def distances(self) -> tuple[int, ...]:
        """Those that are judged: the nearest, and its doublings."""
        task = self.task
        doublings = range((task.farthest // task.nearest).bit_length())
        return tuple(task.nearest * 2**i for i in doublings)

    def encoder(self, name: EncoderName) -> AnyConfig:
        """The Transformer that `bothways train` makes of series, or what has as many weights.

        But without dropout: no sequence is seen twice.
        """
        transformer: EncoderConfig = new_config(
            "tiny",
            num_channels=self.task.num_channels,
            max_length=self.length,
            fields={
                "num_layers": self.num_layers,
                "d_model": self.d_model,
                "num_heads": self.num_heads,
                "dropout": 0.0,
            },
        )
        return transformer if name == "transformer" else matched_config(name, transformer)

    def build(self, name: EncoderName, seed: int) -> Recaller:
        """A fresh model."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Recaller(make_encoder(self.encoder(name), seed=seed), self.num_values)


@dataclasses.dataclass(frozen=True)
class Found:
    """Of one encoder.

    parameters: with what reads its last vector. layers, width: of the encoder. rate: the highest
    learning rate, chosen by `scores`, the share of right answers of the first seed at each rate.
    By seed and distance: accuracies, the share of right answers; fresh, trained: `gradient_size`
    before and after training. losses: of training, by seed and step. tokens: read by each run, in
    positions. seconds: of the training of all seeds at that rate.
    """

    parameters: int
    layers: int
    width: int
    rate: float
    scores: Mapping[float, float]
    accuracies: Mapping[int, Mapping[int, float]]
    fresh: Mapping[int, Mapping[int, float]]
    trained: Mapping[int, Mapping[int, float]]
    losses: Mapping[int, tuple[float, ...]]
    tokens: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class DistanceResult:
    """What was found of each encoder, by its name."""

    settings: DistanceSettings
    found: Mapping[EncoderName, Found]

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON; of the losses, their course."""
        return {
            "settings": dataclasses.asdict(self.settings),
            "found": {name: recorded(found) for name, found in self.found.items()},
        }


def run_distance(settings: DistanceSettings, progress: Progress) -> DistanceResult:
    """Train each encoder from every seed, and judge it at every distance."""
    chosen = [name for name in get_args(EncoderName) if name in settings.encoders]
    found = {}
    for number, name in enumerate(chosen):
        told = part(progress, f"training {name}", number / len(chosen), 1 / len(chosen))
        found[name] = _find(settings, name, told)
    return DistanceResult(settings, found)


def _find(settings: DistanceSettings, name: EncoderName, told: Callable[[float], None]) -> Found:
    searched = search(
        functools.partial(settings.build, name),
        functools.partial(_training_batch, settings),
        answer_loss,
        lambda model: float(np.mean(list(_judge(settings, model, "validation").values()))),
        steps=settings.steps,
        seeds=settings.seeds,
        rates=settings.rates,
        told=told,
    )
    fitted = dict(zip(settings.seeds, searched.fitted, strict=True))
    models = dict(zip(settings.seeds, searched.models, strict=True))
    config = settings.encoder(name)
    return Found(
        parameters=count_parameters(models[settings.seeds[0]]),
        layers=config.num_layers,
        width=config.d_model,
        rate=searched.rate,
        scores=searched.scores,
        accuracies={seed: _judge(settings, model, "test") for seed, model in models.items()},
        fresh={seed: _feel(settings, settings.build(name, seed)) for seed in settings.seeds},
        trained={seed: _feel(settings, model) for seed, model in models.items()},
        losses={seed: run.losses for seed, run in fitted.items()},
        tokens=max(run.tokens for run in fitted.values()),
        seconds=sum(run.seconds for run in fitted.values()),
    )


def training_distances(settings: DistanceSettings, seed: int, step: int) -> list[int]:
    """Of the sequences of a step: their logarithm is drawn evenly.

    So each doubling is practiced as much as the next; drawn evenly themselves, half of them would
    be in the last.
    """
    task = settings.task
    share = generator(seed, "order", step).random(settings.batch)
    drawn = task.nearest * ((task.farthest + 1) / task.nearest) ** share
    return [int(distance) for distance in drawn]


def _training_batch(settings: DistanceSettings, seed: int, step: int) -> Batch:
    distances = training_distances(settings, seed, step)
    return pack(settings.task.sample(distances, seed=seed, step=step))


def _examples(settings: DistanceSettings, distance: int, stream: Stream) -> Batch:
    """Of one distance, the same for all models."""
    distances = [distance] * settings.examples
    return pack(settings.task.sample(distances, seed=0, step=distance, stream=stream))


def _judge(settings: DistanceSettings, model: Recaller, stream: Stream) -> dict[int, float]:
    return {
        distance: share_right(model, _examples(settings, distance, stream))
        for distance in settings.distances
    }


def _feel(settings: DistanceSettings, model: Recaller) -> dict[int, float]:
    return {
        distance: gradient_size(model, _examples(settings, distance, "test"), distance)
        for distance in settings.distances
    }

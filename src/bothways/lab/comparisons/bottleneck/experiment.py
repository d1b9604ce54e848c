"""How right a decoder is by the length of the sequence, for three ways to see it.

A fixed-length vector must hold all of a sequence, however long it is; attention over the encoder's
states need not. Nothing else differs: the decoder is the same, and so are depth and weights.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, assert_never, get_args

import numpy as np
import torch

from bothways.errors import ConfigError
from bothways.lab.comparison import Progress, part
from bothways.lab.fitting import TASK_LEARNING_RATES, recorded, search
from bothways.lab.models.decoder import Decoder, View
from bothways.lab.models.transduction import Accuracy, Transducer, accuracy, pack, symbol_loss
from bothways.lab.registry import Said
from bothways.lab.tasks.copying import Copying
from bothways.lab.tasks.dates import Dates
from bothways.lab.tasks.examples import Stream, Transduction
from bothways.model.baselines import AnyConfig, BaselineName, matched_config
from bothways.model.config import EncoderConfig
from bothways.nn.baselines import count_parameters, make_encoder
from bothways.training.engine.rng import generator
from bothways.training.model import Batch
from bothways.training.setup.sizes import new_config

__all__ = [
    "SYSTEMS",
    "BottleneckResult",
    "BottleneckSettings",
    "Found",
    "System",
    "run_bottleneck",
    "training_batch",
]


@dataclasses.dataclass(frozen=True)
class System:
    """An encoder, and how the decoder sees it.

    recurrent: the baseline; None for the Transformer.
    """

    recurrent: BaselineName | None
    view: View


SYSTEMS: Mapping[str, System] = {
    "LSTM, one vector": System("lstm", "fixed"),
    "LSTM, attention": System("lstm", "attended"),
    "Transformer, attention": System(None, "attended"),
}
"""Sutskever et al. 2014; Bahdanau et al. 2015; the same on the encoder of Vaswani et al. 2017."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BottleneckSettings:
    """What is compared.

    task: what is said of a sequence: itself, forwards or backwards; or of a date, as people write
        it, ISO 8601. num_symbols: of which sequences are made that are said again.
    shortest, longest: of sequences in training, in symbols; each length is as likely. Of those that
        the task has: no date has fewer than 8 characters.
    judged, every: lengths are judged from the shortest to this one, at these intervals: inside of
        what is practiced, so that length is seen and not the edge. examples: of each.
    steps: updates of each run; batch_symbols: of the sources of a step, about.
    seeds: of weights and sequences; the first chooses the rate, of `rates`.
    d_model, num_layers, num_heads: of the Transformer; the decoder is as wide.

    Raises:
        ConfigError: naming the field, its value, and what it may be.
    """

    task: Said = "copy"
    num_symbols: int = 8
    shortest: int = 5
    longest: int = 45
    judged: int = 40
    every: int = 5
    examples: int = 200
    steps: int = 1000
    batch_symbols: int = 1024
    seeds: tuple[int, ...] = (0, 1, 2)
    rates: tuple[float, ...] = TASK_LEARNING_RATES
    d_model: int = 64
    num_layers: int = 2
    num_heads: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.shortest <= self.judged <= self.longest:
            raise ConfigError(
                f"shortest={self.shortest}, judged={self.judged}, longest={self.longest}: expected "
                "1 or more, each no less than the one before"
            )
        if self.task not in get_args(Said):
            raise ConfigError(f"task={self.task!r}: expected one of {', '.join(get_args(Said))}")
        for name in ("seeds", "rates"):
            if not getattr(self, name):
                raise ConfigError(f"{name}: expected at least one")
        for name in ("num_symbols", "every", "examples", "steps", "batch_symbols", "num_layers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: expected at least 1")

    @property
    def transduction(self) -> Transduction:
        """The task."""
        match self.task:
            case "copy" | "reverse":
                return Copying(self.task, self.num_symbols)
            case "dates":
                return Dates()
            case unknown:
                assert_never(unknown)

    @property
    def practiced(self) -> range:
        """Lengths of sequences in training."""
        nearest = self.transduction.nearest_length
        return range(nearest(self.shortest), nearest(self.longest) + 1)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Those that are judged."""
        return tuple(self.practiced[: self.judged - self.shortest + 1 : self.every])

    @property
    def transformer(self) -> EncoderConfig:
        """As `bothways train` makes it, but for two things.

        Its positions are learned: attention from outside has to find a place in the sequence,
        and rotary positions tell of distances alone. And there is no dropout: no sequence is seen
        twice.
        """
        return new_config(
            "tiny",
            vocab_size=len(self.transduction.alphabet),
            max_length=self.practiced[-1],
            fields={
                "num_layers": self.num_layers,
                "d_model": self.d_model,
                "num_heads": self.num_heads,
                "position_embedding": "learned",
                "attention_positions": "none",
                "dropout": 0.0,
            },
        )

    def encoder(self, system: System) -> AnyConfig:
        """The Transformer, or the recurrent encoder that has as many weights."""
        if system.recurrent is None:
            return self.transformer
        return matched_config(system.recurrent, self.transformer)

    def build(self, system: System, seed: int) -> Transducer:
        """A fresh model."""
        config, num_answers = self.encoder(system), len(self.transduction.answers)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            decoder = Decoder(
                self.d_model, config.d_model, num_answers + 1, system.view, self.num_heads
            )
        return Transducer(make_encoder(config, seed=seed), decoder)


@dataclasses.dataclass(frozen=True)
class Found:
    """Of one system.

    parameters: of encoder and decoder together. width: of the encoder's states. rate: the highest
    learning rate, chosen by `scores`: the share of wholly right sequences of the first seed, the
    mean over lengths, at each rate.
    accuracies: by seed and length. losses: of training, by seed and step. tokens: of all sources,
    by seed. seconds: of the training of all seeds at that rate.
    """

    parameters: int
    width: int
    rate: float
    scores: Mapping[float, float]
    accuracies: Mapping[int, Mapping[int, Accuracy]]
    losses: Mapping[int, tuple[float, ...]]
    tokens: Mapping[int, int]
    seconds: float

    def exact(self, length: int) -> list[float]:
        """The share of sequences of a length that are right as a whole, by seed."""
        return [by_length[length].exact for by_length in self.accuracies.values()]

    def symbols(self, length: int) -> list[float]:
        """The share of symbols that are right in sequences of a length, by seed."""
        return [by_length[length].symbols for by_length in self.accuracies.values()]


@dataclasses.dataclass(frozen=True)
class BottleneckResult:
    """What was found of each of `SYSTEMS`, by its name."""

    settings: BottleneckSettings
    found: Mapping[str, Found]

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON; of the losses, their course."""
        return {
            "settings": dataclasses.asdict(self.settings),
            "found": {name: recorded(found) for name, found in self.found.items()},
        }


def run_bottleneck(settings: BottleneckSettings, progress: Progress) -> BottleneckResult:
    """Train each system from every seed, and judge it at every length."""
    found = {}
    for number, (name, system) in enumerate(SYSTEMS.items()):
        told = part(progress, f"training {name}", number / len(SYSTEMS), 1 / len(SYSTEMS))
        found[name] = _find(settings, system, told)
    return BottleneckResult(settings, found)


def _find(settings: BottleneckSettings, system: System, told: Callable[[float], None]) -> Found:
    def score(model: Transducer) -> float:
        found = _judge(settings, model, seed=settings.seeds[0], stream="validation")
        return float(np.mean([accuracy.exact for accuracy in found.values()]))

    searched = search(
        functools.partial(settings.build, system),
        functools.partial(training_batch, settings),
        symbol_loss,
        score,
        steps=settings.steps,
        seeds=settings.seeds,
        rates=settings.rates,
        told=told,
    )
    fitted = dict(zip(settings.seeds, searched.fitted, strict=True))
    return Found(
        parameters=count_parameters(searched.models[0]),
        width=settings.encoder(system).d_model,
        rate=searched.rate,
        scores=searched.scores,
        accuracies={
            seed: _judge(settings, model, seed=0, stream="test")
            for seed, model in zip(settings.seeds, searched.models, strict=True)
        },
        losses={seed: run.losses for seed, run in fitted.items()},
        tokens={seed: run.tokens for seed, run in fitted.items()},
        seconds=sum(run.seconds for run in fitted.values()),
    )


LENGTHS_A_STEP = 4
"""A step has sequences of so many lengths: one of each quarter of the range, so that no step is of
short ones alone, and all that are equally long go through the encoder side by side."""


def training_batch(settings: BottleneckSettings, seed: int, step: int) -> Batch:
    """Sequences of a step: as many symbols of each of some lengths."""
    chance = generator(seed, "order", step)
    practiced = settings.practiced
    lengths: list[int] = []
    for quarter in np.array_split(practiced, min(LENGTHS_A_STEP, len(practiced))):
        length = int(chance.choice(quarter))
        lengths += [length] * max(1, settings.batch_symbols // LENGTHS_A_STEP // length)
    return _batch(settings, lengths, seed, step, "train")


def _judge(
    settings: BottleneckSettings, model: Transducer, *, seed: int, stream: Stream
) -> dict[int, Accuracy]:
    """How right the model is at each length, on the same sequences for all models."""
    return {
        length: accuracy(
            model, _batch(settings, [length] * settings.examples, seed, length, stream)
        )
        for length in settings.lengths
    }


def _batch(
    settings: BottleneckSettings, lengths: list[int], seed: int, step: int, stream: Stream
) -> Batch:
    task = settings.transduction
    pairs = task.pairs(lengths, seed=seed, step=step, stream=stream)
    return pack(pairs, end=len(task.answers))

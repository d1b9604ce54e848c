"""Measure decoding accuracy by sequence length, with a fixed context vector or with attention.

A fixed-length vector has to hold the whole sequence, however long it is; with attention, the
decoder reads all encoder states. The three systems otherwise have the same decoder, depth and
number of encoder parameters.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from bothways.lab.comparison import ComparisonProgress, progress_within
from bothways.lab.comparisons.bottleneck.settings import (
    SYSTEMS,
    BottleneckSettings,
    Seq2SeqSystem,
)
from bothways.lab.models.decoder import Decoder
from bothways.lab.models.seq2seq import (
    DecodingAccuracy,
    Seq2SeqModel,
    decoding_accuracy,
    pack_pairs,
    symbol_loss,
)
from bothways.lab.parameter_counts import ParameterCounts
from bothways.lab.tasks.base import Split
from bothways.lab.training import search_learning_rate, to_json_dict
from bothways.nn.baselines import make_encoder
from bothways.training.engine.rng import generator
from bothways.training.model import Batch

__all__ = [
    "BottleneckResult",
    "SystemResult",
    "build_system",
    "run_bottleneck",
    "training_batch",
]

LENGTHS_PER_STEP = 4
"""Different source lengths in a training step, one from each quarter of the range: no step has only
short sequences, and sequences of equal length are encoded together."""


@dataclasses.dataclass(frozen=True)
class SystemResult:
    """The result of one system.

    parameters: the decoder is the head. width: of the encoder's states.
    learning_rate: the best one, by `scores`: the exact match of the first seed at each rate, as the
        mean over lengths. accuracies: by seed and length. losses: of each step, by seed.
    tokens: source symbols read in training, by seed. seconds: of training all seeds.
    """

    parameters: ParameterCounts
    width: int
    learning_rate: float
    scores: Mapping[float, float]
    accuracies: Mapping[int, Mapping[int, DecodingAccuracy]]
    losses: Mapping[int, tuple[float, ...]]
    tokens: Mapping[int, int]
    seconds: float

    def exact_match(self, length: int) -> list[float]:
        """The fraction of sequences of a length that are entirely right, by seed."""
        return [by_length[length].exact_match for by_length in self.accuracies.values()]

    def symbol_accuracy(self, length: int) -> list[float]:
        """The fraction of right symbols in sequences of a length, by seed."""
        return [by_length[length].symbol_accuracy for by_length in self.accuracies.values()]


@dataclasses.dataclass(frozen=True)
class BottleneckResult:
    """The result of each of the `SYSTEMS`, by name."""

    settings: BottleneckSettings
    systems: Mapping[str, SystemResult]

    def to_dict(self) -> dict[str, Any]:
        """All fields, for JSON; loss curves are downsampled."""
        return {
            "settings": dataclasses.asdict(self.settings),
            "systems": {name: to_json_dict(system) for name, system in self.systems.items()},
        }


def run_bottleneck(settings: BottleneckSettings, progress: ComparisonProgress) -> BottleneckResult:
    """Train each system from every seed, and evaluate it at every length."""
    results = {}
    for number, (name, system) in enumerate(SYSTEMS.items()):
        start, size = number / len(SYSTEMS), 1 / len(SYSTEMS)
        advance = progress_within(progress, f"training {name}", start, size)
        results[name] = _run_system(settings, system, advance)
    return BottleneckResult(settings, results)


def build_system(settings: BottleneckSettings, system: Seq2SeqSystem, seed: int) -> Seq2SeqModel:
    """A model with new weights."""
    config = settings.encoder_config(system)
    num_symbols = len(settings.seq2seq_task.target_alphabet) + 1  # with the end symbol
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        decoder = Decoder(
            settings.d_model, config.d_model, num_symbols, system.context, settings.num_heads
        )
    return Seq2SeqModel(make_encoder(config, seed=seed), decoder)


def _run_system(
    settings: BottleneckSettings, system: Seq2SeqSystem, progress: Callable[[float], None]
) -> SystemResult:
    def score(model: Seq2SeqModel) -> float:
        accuracies = _evaluate(settings, model, seed=settings.seeds[0], split="validation")
        return float(np.mean([accuracy.exact_match for accuracy in accuracies.values()]))

    search = search_learning_rate(
        functools.partial(build_system, settings, system),
        functools.partial(training_batch, settings),
        symbol_loss,
        score,
        steps=settings.steps,
        seeds=settings.seeds,
        learning_rates=settings.learning_rates,
        progress=progress,
    )
    return SystemResult(
        parameters=ParameterCounts.of(search.models[settings.seeds[0]]),
        width=settings.encoder_config(system).d_model,
        learning_rate=search.learning_rate,
        scores=search.scores,
        accuracies={
            seed: _evaluate(settings, model, seed=0, split="test")
            for seed, model in search.models.items()
        },
        losses={seed: fit.losses for seed, fit in search.fits.items()},
        tokens={seed: fit.tokens for seed, fit in search.fits.items()},
        seconds=sum(fit.seconds for fit in search.fits.values()),
    )


def training_batch(settings: BottleneckSettings, seed: int, step: int) -> Batch:
    """The sequences of a step: about as many symbols of each of its lengths."""
    rng = generator(seed, "order", step)
    trained_lengths = settings.trained_lengths
    lengths: list[int] = []
    for quarter in np.array_split(trained_lengths, min(LENGTHS_PER_STEP, len(trained_lengths))):
        length = int(rng.choice(quarter))
        lengths += [length] * max(1, settings.batch_symbols // LENGTHS_PER_STEP // length)
    return _make_batch(settings, lengths, seed, step, "train")


def _evaluate(
    settings: BottleneckSettings, model: Seq2SeqModel, *, seed: int, split: Split
) -> dict[int, DecodingAccuracy]:
    """The accuracy at each length, on the same sequences for all models."""
    return {
        length: decoding_accuracy(
            model, _make_batch(settings, [length] * settings.eval_sequences, seed, length, split)
        )
        for length in settings.evaluated_lengths
    }


def _make_batch(
    settings: BottleneckSettings, lengths: list[int], seed: int, step: int, split: Split
) -> Batch:
    task = settings.seq2seq_task
    pairs = task.pairs(lengths, seed=seed, step=step, split=split)
    return pack_pairs(pairs, end=len(task.target_alphabet))

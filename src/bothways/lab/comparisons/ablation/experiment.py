"""What each part of the encoder block is for, seen in what fails without: `compare ablation`.

The task: add to each symbol the one that stands in its mirror image's place, modulo the number of
symbols. It needs all parts of a block: attention to bring the other symbol, positions to know which
one it is, and something that is not linear for a sum that is no sum of vectors.

T tokens of all sequences end to end; B sequences; L positions; D model width; V symbols.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bothways.errors import ConfigError
from bothways.lab.comparison import Progress, part
from bothways.lab.fitting import LEARNING_RATES, search
from bothways.lab.models.ablated_block import AblatedEncoder, Part, draw_weights
from bothways.lab.tasks.copying import Copying
from bothways.lab.tasks.examples import Stream
from bothways.model.config import EncoderConfig
from bothways.nn.baselines import count_parameters
from bothways.nn.lengths import Lengths
from bothways.training.engine.step import backward
from bothways.training.model import Batch

__all__ = [
    "VARIANTS",
    "AblationResult",
    "AblationSettings",
    "Run",
    "Start",
    "Variant",
    "run_ablation",
]

_SUMS = "sums"
"""Under which a batch has its targets."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """A block without some parts: those that a block may lack, and what a config can say."""

    without: tuple[Part, ...] = ()
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)


VARIANTS: Mapping[str, Variant] = {
    "whole": Variant(),
    "no skip connections": Variant(("skip",)),
    "no normalization": Variant(("norm",)),
    "neither of the two": Variant(("skip", "norm")),
    "no positions": Variant(fields={"position_embedding": "none"}),
    "one head": Variant(fields={"num_heads": 1}),
    "no feed-forward": Variant(("feed-forward",)),
}
"""What is compared, in the order of the report."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AblationSettings:
    """What is built, and how it is trained.

    depths: in layers. d_model, num_heads, d_ff: of the whole block, which is pre-norm.
    num_symbols, length: of the sequences. sequences: in a step; steps: of a run.
    seeds: of weights and examples; the first chooses the rate, of `rates`, on `judged` sequences
        that are not reported; as many others are reported.

    Raises:
        ConfigError: naming the field, its value, and what it may be.
    """

    depths: tuple[int, ...] = (2, 6, 12)
    d_model: int = 64
    num_heads: int = 4
    d_ff: int = 256
    num_symbols: int = 8
    length: int = 8
    sequences: int = 32
    steps: int = 250
    judged: int = 256
    seeds: tuple[int, ...] = (0, 1)
    rates: tuple[float, ...] = LEARNING_RATES

    def __post_init__(self) -> None:
        for field in ("depths", "seeds", "rates"):
            values = getattr(self, field)
            if not values or len(set(values)) < len(values):
                raise ConfigError(f"{field}={values}: expected at least one, and none twice")
        for field in ("sequences", "steps", "judged"):
            if getattr(self, field) < 1:
                raise ConfigError(f"{field}={getattr(self, field)}: expected at least 1")
        self.config(VARIANTS["whole"], self.depths[0])

    def config(self, variant: Variant, depth: int) -> EncoderConfig:
        """What is built. Positions are learned: a mirror image is no matter of distances."""
        fields: dict[str, Any] = {
            "num_layers": depth,
            "num_heads": self.num_heads,
            "d_model": self.d_model,
            "d_ff": self.d_ff,
            "max_length": self.length,
            "vocab_size": self.num_symbols,
            "position_embedding": "learned",
            "norm_placement": "pre",
            "final_norm": True,
            "norm_eps": 1e-5,
            "activation": "relu",
            "dropout": 0.0,
            "attention_dropout": 0.0,
        }
        return EncoderConfig.from_dict(fields | dict(variant.fields))


class Adder(nn.Module):
    """An encoder, and a linear map that says which symbol each position's sum is."""

    def __init__(self, settings: AblationSettings, variant: Variant, depth: int, seed: int) -> None:
        super().__init__()
        self.encoder = AblatedEncoder(settings.config(variant, depth), variant.without)
        self.output = nn.Linear(settings.d_model, settings.num_symbols)
        draw_weights(self, seed)

    def forward(self, batch: Batch) -> Tensor:
        """Scores of the symbols, (T, V)."""
        (x_TD,) = self.encoder(batch.values, batch.lengths)
        return cast(Tensor, self.output(x_TD))


@dataclasses.dataclass(frozen=True)
class Start:
    """A fresh encoder, before any training: one number for the embeddings, and for each layer.

    gradients: the norm of the loss's gradient with respect to those hidden states. differences: the
    share of the hidden states that differs from position to position: 0 if all of a sequence are
    one vector, and nothing is left that tells its positions apart.
    """

    gradients: tuple[float, ...]
    differences: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Run:
    """One variant at one depth: the share of sums that are right, and losses, by seed."""

    parameters: int
    rate: float
    scores: Mapping[float, float]
    accuracies: Mapping[int, float]
    losses: Mapping[int, tuple[float, ...]]
    finished: Mapping[int, bool]
    starts: Mapping[int, Start]
    seconds: float


@dataclasses.dataclass(frozen=True)
class AblationResult:
    """What was found of each variant, by depth and name."""

    settings: AblationSettings
    runs: Mapping[int, Mapping[str, Run]]

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return dataclasses.asdict(self)


def run_ablation(settings: AblationSettings, progress: Progress) -> AblationResult:
    """Train each variant at each depth, from every seed."""
    total = len(VARIANTS) * sum(settings.depths)
    runs: dict[int, dict[str, Run]] = {}
    for depth in settings.depths:
        runs[depth] = {}
        for name, variant in VARIANTS.items():
            passed = sum(len(of_depth) * layers for layers, of_depth in runs.items())
            # A run's share of all the work goes by its layers.
            told = part(progress, f"training {name}, {depth} layers", passed / total, depth / total)
            runs[depth][name] = _run(settings, variant, depth, told)
    return AblationResult(settings, runs)


def _run(
    settings: AblationSettings, variant: Variant, depth: int, told: Callable[[float], None]
) -> Run:
    searched = search(
        functools.partial(Adder, settings, variant, depth),
        functools.partial(make_batch, settings, settings.sequences),
        loss_of,
        lambda model: _accuracy(settings, model, "validation"),
        steps=settings.steps,
        seeds=settings.seeds,
        rates=settings.rates,
        told=told,
    )
    fitted = dict(zip(settings.seeds, searched.fitted, strict=True))
    return Run(
        parameters=count_parameters(searched.models[0]),
        rate=searched.rate,
        scores=searched.scores,
        accuracies={
            seed: _accuracy(settings, model, "test")
            for seed, model in zip(settings.seeds, searched.models, strict=True)
        },
        losses={seed: run.losses for seed, run in fitted.items()},
        finished={seed: run.finished for seed, run in fitted.items()},
        starts={
            seed: look(settings, Adder(settings, variant, depth, seed), seed)
            for seed in settings.seeds
        },
        seconds=sum(run.seconds for run in fitted.values()),
    )


def make_batch(
    settings: AblationSettings, count: int, seed: int, step: int, stream: Stream = "train"
) -> Batch:
    """So many sequences, and the sum of each symbol and its mirror image."""
    task = Copying("reverse", settings.num_symbols)
    pairs = task.pairs([settings.length] * count, seed=seed, step=step, stream=stream)
    sources, mirrored = np.concatenate(pairs.sources), np.concatenate(pairs.targets)
    sums = torch.from_numpy((sources + mirrored) % settings.num_symbols)
    lengths = Lengths([settings.length] * count)
    return Batch(torch.from_numpy(sources), lengths, None, {_SUMS: sums})


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    """The mean cross-entropy of all positions, in nats."""
    return functional.cross_entropy(model(batch), batch.targets[_SUMS])


def look(settings: AblationSettings, model: Adder, seed: int) -> Start:
    """What a fresh model does with the first batch of training."""
    batch = make_batch(settings, settings.sequences, seed, 0)
    states = model.encoder.states(batch.values, batch.lengths)
    for x_TD in states:
        x_TD.retain_grad()
    scores_TV = model.output(model.encoder.final_norm(states[-1]))
    backward(functional.cross_entropy(scores_TV, batch.targets[_SUMS]))
    return Start(
        tuple(float(cast(Tensor, x_TD.grad).norm()) for x_TD in states),
        tuple(difference(x_TD.detach(), settings.length) for x_TD in states),
    )


def difference(x_TD: Tensor, length: int) -> float:
    """The share of sequences' vectors, by their norm, that is not the mean of their sequence."""
    x_BLD = x_TD.view(-1, length, x_TD.shape[1])
    return float((x_BLD - x_BLD.mean(1, keepdim=True)).norm() / x_BLD.norm())


def _accuracy(settings: AblationSettings, model: nn.Module, stream: Stream) -> float:
    """The share of positions whose sum is right, of sequences that are the same for all."""
    batch = make_batch(settings, settings.judged, settings.seeds[0], 0, stream)
    with torch.inference_mode():
        best_T = model.eval()(batch).argmax(1)
    return float((best_T == batch.targets[_SUMS]).float().mean())

"""Train encoder blocks with parts removed on a task that needs every part.

The task: add to each symbol the symbol at the mirrored position, modulo the number of symbols.
Attention has to fetch the other symbol, positions have to identify it, and the modular sum is not a
linear function of the two embeddings, so that it needs a nonlinearity.

T packed tokens of all sequences; B sequences; L positions; D model width; V symbols.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bothways.lab.comparison import ComparisonProgress, progress_within
from bothways.lab.comparisons.ablation.settings import VARIANTS, AblationSettings, BlockVariant
from bothways.lab.models.ablated_block import AblatedEncoder, initialize_glorot
from bothways.lab.parameter_counts import ParameterCounts
from bothways.lab.tasks.base import Split
from bothways.lab.tasks.copying import CopyTask
from bothways.lab.training import search_learning_rate
from bothways.nn.lengths import Lengths
from bothways.training.engine.step import backward
from bothways.training.model import Batch

__all__ = [
    "AblationResult",
    "MirrorSumModel",
    "SignalPropagation",
    "VariantResult",
    "make_batch",
    "measure_signal_propagation",
    "position_variation",
    "run_ablation",
]

_SUMS = "sums"
"""The name of the targets in a batch."""


class MirrorSumModel(nn.Module):
    """An encoder, and a linear classifier of the sum at each position."""

    def __init__(
        self, settings: AblationSettings, variant: BlockVariant, depth: int, seed: int
    ) -> None:
        super().__init__()
        self.encoder = AblatedEncoder(settings.config(variant, depth), variant.without)
        self.output = nn.Linear(settings.d_model, settings.num_symbols)
        initialize_glorot(self, seed)

    def forward(self, batch: Batch) -> Tensor:
        """Logits of the symbols, (T, V)."""
        (x_TD,) = self.encoder(batch.values, batch.lengths)
        return cast(Tensor, self.output(x_TD))


@dataclasses.dataclass(frozen=True)
class SignalPropagation:
    """How an untrained encoder passes on activations and gradients.

    Each field has one number for the embeddings and one for each layer.

    gradient_norms: norm of the loss's gradient with respect to the hidden states.
    position_variation: see `position_variation`.
    """

    gradient_norms: tuple[float, ...]
    position_variation: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class VariantResult:
    """The result of one variant at one depth.

    learning_rate: the best one, by `scores`: the validation accuracy of the first seed at each
        rate. accuracies: fraction of correct sums on the test sequences.
    seconds: of training all seeds.
    """

    parameters: ParameterCounts
    learning_rate: float
    scores: Mapping[float, float]
    accuracies: Mapping[int, float]
    losses: Mapping[int, tuple[float, ...]]
    finished: Mapping[int, bool]
    at_initialization: Mapping[int, SignalPropagation]
    seconds: float


@dataclasses.dataclass(frozen=True)
class AblationResult:
    """The result of each variant, by depth and name."""

    settings: AblationSettings
    variants: Mapping[int, Mapping[str, VariantResult]]

    def to_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        return dataclasses.asdict(self)


def run_ablation(settings: AblationSettings, progress: ComparisonProgress) -> AblationResult:
    """Train each variant at each depth from every seed."""
    total_layers = len(VARIANTS) * sum(settings.depths)
    layers_done = 0
    results: dict[int, dict[str, VariantResult]] = {}
    for depth in settings.depths:
        results[depth] = {}
        for name, variant in VARIANTS.items():
            # The time of a run is proportional to its layers.
            start, size = layers_done / total_layers, depth / total_layers
            advance = progress_within(progress, f"training {name}, {depth} layers", start, size)
            results[depth][name] = _run_variant(settings, variant, depth, advance)
            layers_done += depth
    return AblationResult(settings, results)


def _run_variant(
    settings: AblationSettings,
    variant: BlockVariant,
    depth: int,
    progress: Callable[[float], None],
) -> VariantResult:
    search = search_learning_rate(
        functools.partial(MirrorSumModel, settings, variant, depth),
        functools.partial(make_batch, settings, settings.batch_size),
        sum_loss,
        lambda model: _accuracy(settings, model, "validation"),
        steps=settings.steps,
        seeds=settings.seeds,
        learning_rates=settings.learning_rates,
        progress=progress,
    )
    return VariantResult(
        parameters=ParameterCounts.of(search.models[settings.seeds[0]]),
        learning_rate=search.learning_rate,
        scores=search.scores,
        accuracies={
            seed: _accuracy(settings, model, "test") for seed, model in search.models.items()
        },
        losses={seed: fit.losses for seed, fit in search.fits.items()},
        finished={seed: fit.finished for seed, fit in search.fits.items()},
        at_initialization={
            seed: measure_signal_propagation(
                settings, MirrorSumModel(settings, variant, depth, seed), seed
            )
            for seed in settings.seeds
        },
        seconds=sum(fit.seconds for fit in search.fits.values()),
    )


def make_batch(
    settings: AblationSettings, count: int, seed: int, step: int, split: Split = "train"
) -> Batch:
    """`count` sequences, and the sum of each symbol and its mirror image."""
    task = CopyTask("reverse", settings.num_symbols)
    pairs = task.pairs([settings.length] * count, seed=seed, step=step, split=split)
    symbols, mirrored = np.concatenate(pairs.sources), np.concatenate(pairs.targets)
    sums = torch.from_numpy((symbols + mirrored) % settings.num_symbols)
    lengths = Lengths([settings.length] * count)
    return Batch(torch.from_numpy(symbols), lengths, None, {_SUMS: sums})


def sum_loss(model: nn.Module, batch: Batch) -> Tensor:
    """The mean cross-entropy over all positions, in nats."""
    return functional.cross_entropy(model(batch), batch.targets[_SUMS])


def measure_signal_propagation(
    settings: AblationSettings, model: MirrorSumModel, seed: int
) -> SignalPropagation:
    """Pass the first training batch through an untrained model, forward and backward."""
    batch = make_batch(settings, settings.batch_size, seed, 0)
    states = model.encoder.hidden_states(batch.values, batch.lengths)
    for x_TD in states:
        x_TD.retain_grad()
    logits_TV = model.output(model.encoder.final_norm(states[-1]))
    backward(functional.cross_entropy(logits_TV, batch.targets[_SUMS]))
    return SignalPropagation(
        tuple(float(cast(Tensor, x_TD.grad).norm()) for x_TD in states),
        tuple(position_variation(x_TD.detach(), settings.length) for x_TD in states),
    )


def position_variation(x_TD: Tensor, length: int) -> float:
    """The norm of the vectors minus their sequence's mean, relative to the norm of the vectors.

    0 if all positions of a sequence have the same vector, so that nothing distinguishes them.
    """
    x_BLD = x_TD.view(-1, length, x_TD.shape[1])
    return float((x_BLD - x_BLD.mean(1, keepdim=True)).norm() / x_BLD.norm())


def _accuracy(settings: AblationSettings, model: nn.Module, split: Split) -> float:
    """The fraction of correct sums, on the same sequences for all models."""
    batch = make_batch(settings, settings.eval_sequences, settings.seeds[0], 0, split)
    with torch.inference_mode():
        predicted_T = model.eval()(batch).argmax(1)
    return float((predicted_T == batch.targets[_SUMS]).float().mean())

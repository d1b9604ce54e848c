"""From one sequence to another: an encoder and a decoder together, trained and judged.

S tokens of all sources end to end, T of all targets; B pairs; V symbols of the targets, the one
that ends a target included.
"""

import dataclasses
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bothways.lab.models.decoder import Decoder
from bothways.lab.tasks.base import Pairs
from bothways.nn.lengths import Lengths
from bothways.nn.packed_encoder import PackedEncoder
from bothways.training.model import Batch

__all__ = ["Accuracy", "Transducer", "accuracy", "pack", "symbol_loss"]


class Transducer(nn.Module):
    """An encoder, and a decoder that sees what it made."""

    def __init__(self, encoder: PackedEncoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, batch: Batch) -> Tensor:
        """Scores of each symbol of the targets, given the right ones before it, (T, V)."""
        (y_SE,) = self.encoder(batch.values, batch.lengths)
        return cast(
            Tensor,
            self.decoder(y_SE, batch.lengths, batch.targets["symbols"], _target_lengths(batch)),
        )

    @torch.no_grad()
    def greedy(self, batch: Batch, steps: int) -> Tensor:
        """What is said of each source when each step takes the likeliest symbol, (B, steps)."""
        (y_SE,) = self.encoder(batch.values, batch.lengths)
        return self.decoder.greedy(y_SE, batch.lengths, steps)


def pack(pairs: Pairs, end: int) -> Batch:
    """Pairs as a batch, by the lengths of their sources; each target gets the symbol `end`."""
    order = sorted(range(len(pairs.sources)), key=lambda pair: len(pairs.sources[pair]))
    sources = [pairs.sources[pair] for pair in order]
    targets = [np.append(pairs.targets[pair], end) for pair in order]
    return Batch(
        torch.from_numpy(np.concatenate(sources)),
        Lengths([len(source) for source in sources]),
        None,
        {
            "symbols": torch.from_numpy(np.concatenate(targets)),
            "lengths": torch.tensor([len(target) for target in targets]),
        },
    )


def symbol_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Cross-entropy of the targets' symbols, each given the right ones before it; their mean."""
    return functional.cross_entropy(model(batch), batch.targets["symbols"])


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """Of what a model says by itself.

    exact: the share of targets that are right from the first symbol to the end. symbols: the share
    of the targets' symbols that stand in their place, the end not counted.
    """

    exact: float
    symbols: float


def accuracy(model: Transducer, batch: Batch) -> Accuracy:
    """How often the model is right where it decodes greedily."""
    targets = _target_lengths(batch)
    said_BL = model.greedy(batch, targets.longest)
    row_T = targets.per_token(torch.arange(len(targets.each)))
    right_T = said_BL[row_T, targets.position_T] == batch.targets["symbols"]
    right_B = torch.segment_reduce(right_T.float(), "min", lengths=targets.lengths_B)
    is_end_T = targets.position_T == targets.per_token(targets.lengths_B) - 1
    return Accuracy(float(right_B.mean()), float(right_T[~is_end_T].float().mean()))


def _target_lengths(batch: Batch) -> Lengths:
    return Lengths(batch.targets["lengths"].tolist())

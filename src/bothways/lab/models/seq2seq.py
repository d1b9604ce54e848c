"""A sequence-to-sequence model: an encoder and a decoder, their loss and their accuracy.

S packed tokens of all sources, T of all targets; B pairs; V target symbols, with the end symbol.
"""

import dataclasses
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bothways.lab.models.decoder import Decoder
from bothways.lab.tasks.base import SequencePairs
from bothways.nn.lengths import Lengths
from bothways.nn.packed_encoder import PackedEncoder
from bothways.training.model import Batch

__all__ = ["DecodingAccuracy", "Seq2SeqModel", "decoding_accuracy", "pack_pairs", "symbol_loss"]


class Seq2SeqModel(nn.Module):
    """An encoder, and a decoder that reads the encoder's states."""

    def __init__(self, encoder: PackedEncoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, batch: Batch) -> Tensor:
        """Logits of each target symbol given the true previous symbols, (T, V)."""
        (y_SE,) = self.encoder(batch.values, batch.lengths)
        return cast(
            Tensor,
            self.decoder(y_SE, batch.lengths, batch.targets["symbols"], _target_lengths(batch)),
        )

    @torch.no_grad()
    def decode_greedily(self, batch: Batch, steps: int) -> Tensor:
        """The symbols decoded for each source, the most likely one at each step, (B, steps)."""
        (y_SE,) = self.encoder(batch.values, batch.lengths)
        return self.decoder.decode_greedily(y_SE, batch.lengths, steps)


def pack_pairs(pairs: SequencePairs, end: int) -> Batch:
    """Pairs as a packed batch, sorted by source length; appends the symbol `end` to each target."""
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
    """The mean cross-entropy of target symbols under teacher forcing, in nats."""
    return functional.cross_entropy(model(batch), batch.targets["symbols"])


@dataclasses.dataclass(frozen=True)
class DecodingAccuracy:
    """The accuracy of greedy decoding.

    exact_match: fraction of targets that are right from the first symbol to the end symbol.
    symbol_accuracy: fraction of target symbols, without the end symbol, that are right.
    """

    exact_match: float
    symbol_accuracy: float


def decoding_accuracy(model: Seq2SeqModel, batch: Batch) -> DecodingAccuracy:
    """Decode greedily and compare with the targets, position by position."""
    targets = _target_lengths(batch)
    decoded_BL = model.decode_greedily(batch, targets.longest)
    row_T = targets.per_token(torch.arange(len(targets.each)))
    correct_T = decoded_BL[row_T, targets.position_T] == batch.targets["symbols"]
    correct_B = torch.segment_reduce(correct_T.float(), "min", lengths=targets.lengths_B)
    is_end_T = targets.position_T == targets.per_token(targets.lengths_B) - 1
    return DecodingAccuracy(float(correct_B.mean()), float(correct_T[~is_end_T].float().mean()))


def _target_lengths(batch: Batch) -> Lengths:
    return Lengths(batch.targets["lengths"].tolist())

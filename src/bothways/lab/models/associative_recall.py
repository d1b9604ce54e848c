"""What answers a question of associative recall, how right it is, and what it feels of the answer.

n sequences of L positions; T = n · L of them end to end, of C channels; V values.
"""

import copy
from typing import assert_never, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from bothways.lab.tasks.associative_recall import Recalled
from bothways.model.baselines import EncoderName
from bothways.nn.layers import Linear
from bothways.nn.lengths import Lengths
from bothways.nn.packed_encoder import PackedEncoder
from bothways.nn.pooling import pool
from bothways.training.model import Batch

__all__ = ["Recaller", "answer_loss", "gradient_size", "pack", "path_length", "share_right"]


class Recaller(nn.Module):
    """An encoder, and a linear map from its last position's vector to the values."""

    def __init__(self, encoder: PackedEncoder, num_values: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = Linear(encoder.config.d_model, num_values)

    def forward(self, batch: Batch) -> Tensor:
        """Scores of the values for each sequence, (n, V)."""
        (x_TD,) = self.encoder(batch.values, batch.lengths)
        return cast(Tensor, self.classifier(pool(x_TD, batch.lengths, "last")))


def pack(made: Recalled) -> Batch:
    """Questions as a batch."""
    n, L, _ = made.vectors.shape
    return Batch(
        torch.from_numpy(made.vectors).flatten(0, 1),
        Lengths([L] * n),
        None,
        {"answers": torch.from_numpy(made.answers)},
    )


def answer_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Cross-entropy of the answers, their mean."""
    return functional.cross_entropy(model(batch), batch.targets["answers"])


@torch.no_grad()
def share_right(model: Recaller, batch: Batch) -> float:
    """How many of the answers have the highest score, as a share."""
    return float((model(batch).argmax(1) == batch.targets["answers"]).double().mean())


def gradient_size(model: Recaller, batch: Batch, distance: int) -> float:
    """How much the right answer's score feels the position that holds it, so far before the last.

    The norm of the gradient of the score, before the softmax, by the position's input; the median
    over sequences. Not of the loss: where answers are right its gradient is nothing, however well
    they are felt. In float64, where a gradient may shrink to 1e-300 and still be seen.
    """
    model = copy.deepcopy(model).double().eval()
    values_TC = batch.values.double().requires_grad_()
    scores_nV = model(Batch(values_TC, batch.lengths, None, batch.targets))
    right_n = scores_nV.gather(1, batch.targets["answers"][:, None])
    (gradient_TC,) = torch.autograd.grad(right_n.sum(), values_TC)
    asked_n = batch.lengths.bounds[1:].long() - 1 - distance
    return float(gradient_TC[asked_n].norm(dim=1).median())


def path_length(name: EncoderName, distance: int) -> int | None:
    """Layers or steps that what is so far away goes through at least; None if it never arrives.

    Vaswani et al. 2017, section 4 and table 1: one layer of self-attention joins any two positions,
    a recurrent layer takes a step for each position between, and convolutions whose dilation
    doubles reach 1, 3, 7, ... positions with one, two, three layers.
    """
    match name:
        case "transformer":
            return 1
        case "rnn" | "lstm" | "gru" | "rnn-forward" | "lstm-forward" | "gru-forward":
            return distance
        case "convolution":
            return distance.bit_length()
        case "bag":
            return None
        case unknown:
            assert_never(unknown)

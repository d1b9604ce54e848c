"""A model of associative recall, its accuracy, and the gradient that reaches the queried input.

n sequences of L positions; T = n · L packed positions of C channels; V values.
"""

import copy
from typing import assert_never, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from bothways.lab.tasks.associative_recall import RecallExamples
from bothways.model.baselines import EncoderName
from bothways.nn.layers import Linear
from bothways.nn.lengths import Lengths
from bothways.nn.packed_encoder import PackedEncoder
from bothways.nn.pooling import pool
from bothways.training.model import Batch

__all__ = [
    "AssociativeRecallModel",
    "input_gradient_norm",
    "pack_examples",
    "path_length",
    "recall_accuracy",
    "recall_loss",
]


class AssociativeRecallModel(nn.Module):
    """An encoder, and a linear classifier of the values on the vector of the last position."""

    def __init__(self, encoder: PackedEncoder, num_values: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = Linear(encoder.config.d_model, num_values)

    def forward(self, batch: Batch) -> Tensor:
        """Logits of the values for each sequence, (n, V)."""
        (x_TD,) = self.encoder(batch.values, batch.lengths)
        return cast(Tensor, self.classifier(pool(x_TD, batch.lengths, "last")))


def pack_examples(examples: RecallExamples) -> Batch:
    """Examples as a packed batch."""
    n, L, _ = examples.vectors.shape
    return Batch(
        torch.from_numpy(examples.vectors).flatten(0, 1),
        Lengths([L] * n),
        None,
        {"answers": torch.from_numpy(examples.answers)},
    )


def recall_loss(model: nn.Module, batch: Batch) -> Tensor:
    """The mean cross-entropy of the answers, in nats."""
    return functional.cross_entropy(model(batch), batch.targets["answers"])


@torch.no_grad()
def recall_accuracy(model: AssociativeRecallModel, batch: Batch) -> float:
    """The fraction of sequences whose answer has the highest logit."""
    return float((model(batch).argmax(1) == batch.targets["answers"]).double().mean())


def input_gradient_norm(model: AssociativeRecallModel, batch: Batch, distance: int) -> float:
    """The norm of the gradient of the answer's logit with respect to the queried pair's input.

    The median over sequences. The gradient of the loss would vanish wherever answers are right, so
    the logit is used. In float64, which still represents gradients as small as 1e-300.

    distance: positions from the queried pair to the query, at the end of each sequence.
    """
    model = copy.deepcopy(model).double().eval()
    values_TC = batch.values.double().requires_grad_()
    logits_nV = model(Batch(values_TC, batch.lengths, None, batch.targets))
    answer_n = logits_nV.gather(1, batch.targets["answers"][:, None])
    (gradient_TC,) = torch.autograd.grad(answer_n.sum(), values_TC)
    position_n = batch.lengths.bounds[1:].long() - 1 - distance
    return float(gradient_TC[position_n].norm(dim=1).median())


def path_length(name: EncoderName, distance: int) -> int | None:
    """The minimum number of layers or steps between two positions; None if there is no path.

    Vaswani et al. 2017, section 4 and table 1: one layer of self-attention connects any two
    positions, a recurrent layer takes one step per position, and convolutions with doubling
    dilation reach 1, 3, 7, ... positions with one, two, three layers.
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

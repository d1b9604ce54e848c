"""Recurrent encoders on packed batches: each state depends on the state of the previous position.

T tokens of all sequences end to end, N of some sequences; B sequences, the longest of L tokens; I
inputs and W width of a layer in one direction; D width of both directions together.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple, assert_never, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bothways.model.baselines import BaselineConfig
from bothways.nn.baselines.encoder import BaselineEncoder
from bothways.nn.dropout import Dropout
from bothways.nn.lengths import Lengths

__all__ = ["Rectangles", "RecurrentEncoder", "RecurrentLayer"]


class RecurrentEncoder(BaselineEncoder):
    """A stack of layers of a recurrent cell, in one direction or both.

    torch's fused kernels compute all time steps of a layer in one call. They need padded batches,
    which `Rectangles` makes.
    """

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__(config)
        widths = [config.embedding_width] + [config.d_model] * (config.num_layers - 1)
        self.layers = nn.ModuleList(RecurrentLayer(config, width) for width in widths)
        self.dropout = Dropout(config.dropout)

    def outputs(self, x_TE: Tensor, lengths: Lengths) -> Iterator[Tensor]:
        """The states of each layer, both directions side by side, (T, D)."""
        rectangles = Rectangles(lengths)
        x_TD = x_TE
        for layer in self.layers:
            x_TD = self.dropout(layer(x_TD, rectangles))
            yield x_TD


class Rectangle(NamedTuple):
    """Sequences of similar length as rows of a rectangle, padded at the end.

    tokens: indices of their tokens in the packed batch, (N,).
    rightward, leftward: index of each of these tokens in the flattened rectangle, (N,), if
        sequences are read from their start, or from their end. Padding follows a sequence in both,
        so that no state depends on it.
    """

    tokens: Tensor
    rightward: Tensor
    leftward: Tensor
    num_rows: int
    longest: int

    @classmethod
    def of(cls, first_B: np.ndarray, length_B: np.ndarray, device: torch.device) -> "Rectangle":
        """Make one of sequences given by their first token in the batch and their length."""
        row_N = np.repeat(np.arange(len(length_B)), length_B)
        start_N = np.repeat(np.cumsum(length_B) - length_B, length_B)
        position_N = np.arange(len(row_N)) - start_N
        from_end_N = np.repeat(length_B, length_B) - 1 - position_N
        longest = int(length_B.max())

        def to_device(place_N: np.ndarray) -> Tensor:
            return torch.from_numpy(place_N).to(device)

        return cls(
            tokens=to_device(np.repeat(first_B, length_B) + position_N),
            rightward=to_device(row_N * longest + position_N),
            leftward=to_device(row_N * longest + from_end_N),
            num_rows=len(length_B),
            longest=longest,
        )


class Rectangles:
    """A packed batch as rectangles whose shortest sequence is at least half as long as the longest.

    Less than half of the computation is therefore for padding, and none if all lengths are equal.
    Sequences of a planned batch have similar lengths, and mostly make one rectangle.
    """

    def __init__(self, lengths: Lengths) -> None:
        self.device = lengths.device
        self._length_B = np.array(lengths.each)
        self._first_B = np.cumsum(self._length_B) - self._length_B

    @cached_property
    def each(self) -> tuple[Rectangle, ...]:
        """All rectangles, those of the longest sequences first."""
        order_B = np.argsort(-self._length_B, kind="stable")
        rectangles = []
        while len(order_B):
            longest = self._length_B[order_B[0]]
            count = int(np.count_nonzero(2 * self._length_B[order_B] >= longest))
            members, order_B = order_B[:count], order_B[count:]
            rectangles.append(
                Rectangle.of(self._first_B[members], self._length_B[members], self.device)
            )
        return tuple(rectangles)

    @cached_property
    def back_T(self) -> Int[Tensor, "T"]:
        """Index of each token of the batch among the tokens of all rectangles, end to end."""
        return torch.argsort(torch.cat([rectangle.tokens for rectangle in self.each]))


class RecurrentLayer(nn.Module):
    """A cell that reads from the start of sequences, and optionally one that reads from the end."""

    def __init__(self, config: BaselineConfig, inputs: int) -> None:
        super().__init__()
        self.rightward = make_cell(config, inputs)
        self.leftward = make_cell(config, inputs) if config.directions == 2 else None

    def forward(self, x_TI: Float[Tensor, "T I"], rectangles: Rectangles) -> Float[Tensor, "T D"]:
        """The states of each token, (T, D)."""
        states = []
        for rectangle in rectangles.each:
            x_NI = x_TI[rectangle.tokens]
            directions = [run_cell(self.rightward, x_NI, rectangle.rightward, rectangle)]
            if self.leftward is not None:
                directions.append(run_cell(self.leftward, x_NI, rectangle.leftward, rectangle))
            states.append(torch.cat(directions, 1))
        return torch.cat(states)[rectangles.back_T]


def run_cell(
    cell: nn.RNNBase, x_NI: Float[Tensor, "N I"], place_N: Tensor, rectangle: Rectangle
) -> Float[Tensor, "N W"]:
    """The state of the cell after each token."""
    B, L = rectangle.num_rows, rectangle.longest
    rows_BLI = x_NI.new_zeros(B * L, x_NI.shape[1]).index_copy(0, place_N, x_NI).view(B, L, -1)
    state_BLW, _ = cell(rows_BLI)
    return cast(Tensor, state_BLW).flatten(0, 1)[place_N]


def make_cell(config: BaselineConfig, inputs: int) -> nn.RNNBase:
    """One layer of torch's cell, in one direction."""
    match config.cell:
        case "rnn":
            return nn.RNN(inputs, config.width, batch_first=True)
        case "lstm":
            return nn.LSTM(inputs, config.width, batch_first=True)
        case "gru":
            return nn.GRU(inputs, config.width, batch_first=True)
        case None:
            raise ValueError(f"{config.kind} has no cell")
        case unknown:
            assert_never(unknown)

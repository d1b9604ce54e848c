"""Recurrent encoders on packed batches: each position's state is made of the one beside it.

T tokens of all sequences end to end, N those of some of them; B sequences, of which the longest has
L; I inputs and W width of a layer, in one direction; D width of both together.
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
    """Layers of a recurrent cell, in one direction or both, each fed with what the last one gives.

    torch's fused kernels take all steps of a layer in one call. They ask for rectangles, and a
    batch is put into such: `Rectangles`.
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
    """Sequences of like lengths as rows of a rectangle, padded at the end.

    tokens: theirs in the packed batch, (N,). rightward, leftward: (N,), where each of these stands,
    rows end to end, when sequences are read from their beginning, and when from their end. Padding
    is behind a sequence in both, so that no token ever sees it.
    """

    tokens: Tensor
    rightward: Tensor
    leftward: Tensor
    num_rows: int
    longest: int

    @classmethod
    def of(cls, first_B: np.ndarray, length_B: np.ndarray, device: torch.device) -> "Rectangle":
        """Of sequences by their first tokens in the batch and their lengths."""
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
    """A packed batch as rectangles of sequences, the shortest at least half as long as the longest.

    So less than half of what is computed is for padding, whatever the lengths are, and nothing if
    all are equal; neighbors in a planned batch are of like length, and mostly make one rectangle.
    """

    def __init__(self, lengths: Lengths) -> None:
        self.device = lengths.device
        self._length_B = np.array(lengths.each)
        self._first_B = np.cumsum(self._length_B) - self._length_B

    @cached_property
    def each(self) -> tuple[Rectangle, ...]:
        """Those of the longest sequences first."""
        order_B = np.argsort(-self._length_B, kind="stable")
        found = []
        while len(order_B):
            longest = self._length_B[order_B[0]]
            count = int(np.count_nonzero(2 * self._length_B[order_B] >= longest))
            own, order_B = order_B[:count], order_B[count:]
            found.append(Rectangle.of(self._first_B[own], self._length_B[own], self.device))
        return tuple(found)

    @cached_property
    def back_T(self) -> Int[Tensor, "T"]:
        """Where each token of the batch stands among the tokens of all rectangles, end to end."""
        return torch.argsort(torch.cat([rectangle.tokens for rectangle in self.each]))


class RecurrentLayer(nn.Module):
    """One cell that reads sequences from their beginning, and maybe one that reads from the end."""

    def __init__(self, config: BaselineConfig, inputs: int) -> None:
        super().__init__()
        self.rightward = make_cell(config, inputs)
        self.leftward = make_cell(config, inputs) if config.directions == 2 else None

    def forward(self, x_TI: Float[Tensor, "T I"], rectangles: Rectangles) -> Float[Tensor, "T D"]:
        """The states of each token, (T, D)."""
        states = []
        for rectangle in rectangles.each:
            x_NI = x_TI[rectangle.tokens]
            read = [run(self.rightward, x_NI, rectangle.rightward, rectangle)]
            if self.leftward is not None:
                read.append(run(self.leftward, x_NI, rectangle.leftward, rectangle))
            states.append(torch.cat(read, 1))
        return torch.cat(states)[rectangles.back_T]


def run(
    cell: nn.RNNBase, x_NI: Float[Tensor, "N I"], place_N: Tensor, rectangle: Rectangle
) -> Float[Tensor, "N W"]:
    """The state of each token after its sequence has been read as far as it."""
    B, L = rectangle.num_rows, rectangle.longest
    rows_BLI = x_NI.new_zeros(B * L, x_NI.shape[1]).index_copy(0, place_N, x_NI).view(B, L, -1)
    state_BLW, _ = cell(rows_BLI)
    return cast(Tensor, state_BLW).flatten(0, 1)[place_N]


def make_cell(config: BaselineConfig, inputs: int) -> nn.RNNBase:
    """One layer of torch's, in one direction."""
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

"""One small decoder, and two ways for it to see what an encoder made of a sequence.

S tokens of all sources end to end, T of all targets; B pairs of them, of which the longest target
has L; D width of the decoder, E of the encoder's states; V symbols of the targets.
"""

from typing import Literal, assert_never, cast

import torch
from torch import Tensor, nn

from bothways.lab.models.cross_attention import MultiHeadAttention
from bothways.nn.layers import Linear
from bothways.nn.lengths import Lengths
from bothways.nn.pooling import pool
from bothways.nn.positions import sinusoids

__all__ = ["AttendedStates", "Decoder", "FixedVector", "View"]

View = Literal["fixed", "attended"]
"""A fixed-length vector of the source, or attention over all its states."""


class Decoder(nn.Module):
    """An LSTM over the symbols so far, and a view of the source beside its state.

    Whichever its view, it starts from a summary of the source: the states at its first and its last
    position, by which a recurrent encoder has read all of it in one direction and the other. It
    knows the number of its step, as a sinusoid beside the symbol (Vaswani et al. 2017, section
    3.5), and what it is given is added to the LSTM's state (Wu et al. 2016, section 3.1).

    The view is asked after the state is known, and scores come from both together, as in Luong et
    al. 2015, section 3: so in training the LSTM reads a whole target at once.

    num_symbols: of the targets, the one that ends a target included.
    """

    def __init__(
        self, width: int, encoder_width: int, num_symbols: int, view: View, num_heads: int
    ) -> None:
        super().__init__()
        self.num_symbols = num_symbols
        self.embedding = nn.Embedding(num_symbols + 1, width)  # the last row begins a target
        self.summary = Linear(2 * encoder_width, width)
        self.recurrent = nn.LSTM(width, width, batch_first=True)
        self.view = _make_view(view, width, encoder_width, num_heads)
        self.joined, self.output = Linear(2 * width, width), Linear(width, num_symbols)

    def forward(
        self, y_SE: Tensor, sources: Lengths, targets_T: Tensor, targets: Lengths
    ) -> Tensor:
        """Scores of each position's symbol, given the right symbols before it, (T, V)."""
        before_T = torch.cat([targets_T[:1], targets_T[:-1]])
        before_T = torch.where(targets.position_T == 0, self.num_symbols, before_T)
        x_TD = self._embed(before_T, targets.position_T)
        # Rows of L steps each. What stands after a target's end is not read again.
        row_T = targets.per_token(torch.arange(len(targets.each)))
        place_T = row_T * targets.longest + targets.position_T
        rows_BLD = x_TD.new_zeros(len(targets.each) * targets.longest, x_TD.shape[1])
        rows_BLD = rows_BLD.index_copy(0, place_T, x_TD).view(-1, targets.longest, x_TD.shape[1])
        summary_BD = self._summarize(y_SE, sources)
        states_BLD, _ = self.recurrent(rows_BLD, _start(summary_BD))
        x_TD = x_TD + states_BLD.flatten(0, 1)[place_T]
        return self._scores(x_TD, targets, summary_BD, y_SE, sources)

    @torch.no_grad()
    def greedy(self, y_SE: Tensor, sources: Lengths, steps: int) -> Tensor:
        """The likeliest symbol after those before it, so many times: ids (B, steps)."""
        summary_BD = self._summarize(y_SE, sources)
        state = _start(summary_BD)
        one_each = Lengths([1] * len(sources.each))
        symbol_B = torch.full((len(sources.each),), self.num_symbols)
        symbols = []
        for step in range(steps):
            x_BD = self._embed(symbol_B, torch.full_like(symbol_B, step))
            states_B1D, state = self.recurrent(x_BD[:, None], state)
            x_BD = x_BD + states_B1D[:, 0]
            symbol_B = self._scores(x_BD, one_each, summary_BD, y_SE, sources).argmax(-1)
            symbols.append(symbol_B)
        return torch.stack(symbols, 1)

    def _embed(self, before_T: Tensor, position_T: Tensor) -> Tensor:
        """The symbol before a step and the number of the step, (T, D)."""
        symbol_TD: Tensor = self.embedding(before_T)
        table_LD = sinusoids(int(position_T.max()) + 1, symbol_TD.shape[1], symbol_TD.device)
        return symbol_TD + table_LD.to(symbol_TD.dtype)[position_T]

    def _summarize(self, y_SE: Tensor, sources: Lengths) -> Tensor:
        """The vector that the LSTM starts from, (B, D)."""
        ends_BE = [pool(y_SE, sources, "cls"), pool(y_SE, sources, "last")]
        return torch.tanh(self.summary(torch.cat(ends_BE, 1)))

    def _scores(
        self, x_TD: Tensor, targets: Lengths, summary_BD: Tensor, y_SE: Tensor, sources: Lengths
    ) -> Tensor:
        """Scores of the next symbol in each state of the decoder, (T, V)."""
        seen_TD = self.view(x_TD, targets, summary_BD, y_SE, sources)
        joined_TD = torch.tanh(self.joined(torch.cat([x_TD, seen_TD], 1)))
        return cast(Tensor, self.output(joined_TD))


class FixedVector(nn.Module):
    """The source as one vector, the same in each step (Sutskever et al. 2014; Cho et al. 2014).

    A feed-forward of two matrices stands where attention has four: as many weights.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down = Linear(width, 2 * width), Linear(2 * width, width)

    def forward(
        self, x_TD: Tensor, targets: Lengths, summary_BD: Tensor, y_SE: Tensor, sources: Lengths
    ) -> Tensor:
        """What the decoder sees in each of its states x, (T, D)."""
        return targets.per_token(self.down(self.up(summary_BD, "gelu")))


class AttendedStates(nn.Module):
    """The source as all its states, of which each step draws a mix (Bahdanau et al. 2015)."""

    def __init__(self, width: int, encoder_width: int, num_heads: int) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, encoder_width, num_heads)

    def forward(
        self, x_TD: Tensor, targets: Lengths, summary_BD: Tensor, y_SE: Tensor, sources: Lengths
    ) -> Tensor:
        """What the decoder sees in each of its states x, (T, D)."""
        return cast(Tensor, self.attention(x_TD, targets, y_SE, sources))


def _make_view(view: View, width: int, encoder_width: int, num_heads: int) -> nn.Module:
    match view:
        case "fixed":
            return FixedVector(width)
        case "attended":
            return AttendedStates(width, encoder_width, num_heads)
        case unknown:
            assert_never(unknown)


def _start(summary_BD: Tensor) -> tuple[Tensor, Tensor]:
    """The LSTM's first state and cell, as torch has them: (1, B, D)."""
    return summary_BD[None], torch.zeros_like(summary_BD)[None]

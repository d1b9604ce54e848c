"""A small LSTM decoder with two kinds of context: one fixed vector, or attention.

S packed tokens of all sources, T of all targets; B pairs; L length of the longest target; D width
of the decoder, E of the encoder's states; V target symbols.
"""

from typing import Literal, assert_never, cast

import torch
from torch import Tensor, nn

from bothways.lab.models.cross_attention import MultiHeadAttention
from bothways.nn.layers import Linear
from bothways.nn.lengths import Lengths
from bothways.nn.pooling import pool
from bothways.nn.positions import sinusoids

__all__ = ["AttentionContext", "ContextKind", "Decoder", "FixedContext"]

ContextKind = Literal["fixed", "attention"]
"""One fixed-length vector of the source, or attention over all encoder states."""


class Decoder(nn.Module):
    """An LSTM over the previous symbols, with a context vector of the source at each step.

    With either kind of context, the LSTM starts from a summary of the source: the encoder states at
    the first and the last position, where a bidirectional recurrent encoder has read everything in
    one direction or the other. Step numbers are added to symbol embeddings as sinusoids (Vaswani et
    al. 2017, section 3.5), and a residual connection adds the LSTM's input to its output (Wu et al.
    2016, section 3.1).

    The context is computed after the LSTM's state, and logits depend on both, as in Luong et al.
    2015, section 3. So during training the LSTM reads a whole target in one call.

    num_symbols: target symbols, the end symbol included.
    """

    def __init__(
        self, width: int, encoder_width: int, num_symbols: int, context: ContextKind, num_heads: int
    ) -> None:
        super().__init__()
        self.num_symbols = num_symbols
        self.embedding = nn.Embedding(num_symbols + 1, width)  # the last row is the start symbol
        self.summary = Linear(2 * encoder_width, width)
        self.recurrent = nn.LSTM(width, width, batch_first=True)
        self.context = _make_context(context, width, encoder_width, num_heads)
        self.joined, self.output = Linear(2 * width, width), Linear(width, num_symbols)

    def forward(
        self, y_SE: Tensor, sources: Lengths, targets_T: Tensor, targets: Lengths
    ) -> Tensor:
        """Logits of each target symbol given the true previous symbols, (T, V)."""
        previous_T = torch.cat([targets_T[:1], targets_T[:-1]])
        previous_T = torch.where(targets.position_T == 0, self.num_symbols, previous_T)
        x_TD = self._embed(previous_T, targets.position_T)
        # One row of L steps per target. The steps after a target's end are never read.
        row_T = targets.per_token(torch.arange(len(targets.each)))
        index_T = row_T * targets.longest + targets.position_T
        rows_BLD = x_TD.new_zeros(len(targets.each) * targets.longest, x_TD.shape[1])
        rows_BLD = rows_BLD.index_copy(0, index_T, x_TD).view(-1, targets.longest, x_TD.shape[1])
        summary_BD = self._summarize(y_SE, sources)
        states_BLD, _ = self.recurrent(rows_BLD, _initial_state(summary_BD))
        x_TD = x_TD + states_BLD.flatten(0, 1)[index_T]
        return self._logits(x_TD, targets, summary_BD, y_SE, sources)

    @torch.no_grad()
    def decode_greedily(self, y_SE: Tensor, sources: Lengths, steps: int) -> Tensor:
        """Decode `steps` symbols, the most likely one at each step: ids (B, steps)."""
        summary_BD = self._summarize(y_SE, sources)
        state = _initial_state(summary_BD)
        single_steps = Lengths([1] * len(sources.each))
        symbol_B = torch.full((len(sources.each),), self.num_symbols)
        symbols = []
        for step in range(steps):
            x_BD = self._embed(symbol_B, torch.full_like(symbol_B, step))
            states_B1D, state = self.recurrent(x_BD[:, None], state)
            x_BD = x_BD + states_B1D[:, 0]
            symbol_B = self._logits(x_BD, single_steps, summary_BD, y_SE, sources).argmax(-1)
            symbols.append(symbol_B)
        return torch.stack(symbols, 1)

    def _embed(self, previous_T: Tensor, position_T: Tensor) -> Tensor:
        """The sum of the embeddings of the previous symbol and of the step number, (T, D)."""
        symbol_TD: Tensor = self.embedding(previous_T)
        table_LD = sinusoids(int(position_T.max()) + 1, symbol_TD.shape[1], symbol_TD.device)
        return symbol_TD + table_LD.to(symbol_TD.dtype)[position_T]

    def _summarize(self, y_SE: Tensor, sources: Lengths) -> Tensor:
        """The initial hidden state of the LSTM, (B, D)."""
        ends_BE = [pool(y_SE, sources, "cls"), pool(y_SE, sources, "last")]
        return torch.tanh(self.summary(torch.cat(ends_BE, 1)))

    def _logits(
        self, x_TD: Tensor, targets: Lengths, summary_BD: Tensor, y_SE: Tensor, sources: Lengths
    ) -> Tensor:
        """Logits of the next symbol for each decoder state, (T, V)."""
        context_TD = self.context(x_TD, targets, summary_BD, y_SE, sources)
        joined_TD = torch.tanh(self.joined(torch.cat([x_TD, context_TD], 1)))
        return cast(Tensor, self.output(joined_TD))


class FixedContext(nn.Module):
    """One vector of the source, the same at each step (Sutskever et al. 2014; Cho et al. 2014).

    A feed-forward layer gives it as many parameters as attention has: two matrices of twice the
    size instead of four.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down = Linear(width, 2 * width), Linear(2 * width, width)

    def forward(
        self, x_TD: Tensor, targets: Lengths, summary_BD: Tensor, y_SE: Tensor, sources: Lengths
    ) -> Tensor:
        """The context vector of each decoder state x, (T, D)."""
        return targets.per_token(self.down(self.up(summary_BD, "gelu")))


class AttentionContext(nn.Module):
    """Attention over all encoder states at each step (Bahdanau et al. 2015)."""

    def __init__(self, width: int, encoder_width: int, num_heads: int) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, encoder_width, num_heads)

    def forward(
        self, x_TD: Tensor, targets: Lengths, summary_BD: Tensor, y_SE: Tensor, sources: Lengths
    ) -> Tensor:
        """The context vector of each decoder state x, (T, D)."""
        return cast(Tensor, self.attention(x_TD, targets, y_SE, sources))


def _make_context(kind: ContextKind, width: int, encoder_width: int, num_heads: int) -> nn.Module:
    match kind:
        case "fixed":
            return FixedContext(width)
        case "attention":
            return AttentionContext(width, encoder_width, num_heads)
        case unknown:
            assert_never(unknown)


def _initial_state(summary_BD: Tensor) -> tuple[Tensor, Tensor]:
    """The initial hidden state and cell of `nn.LSTM`, each (1, B, D)."""
    return summary_BD[None], torch.zeros_like(summary_BD)[None]

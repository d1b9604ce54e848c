"""Attention from one batch of sequences to another; with one batch twice it is self-attention.

T tokens of the sequences that ask, end to end, S of those that are asked; B pairs of sequences, L
positions that ask and M that are asked; D and E the widths of their vectors; H heads, K = D / H
their width.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bothways.errors import InputError
from bothways.nn.layers import Linear
from bothways.nn.lengths import LengthGroup, Lengths

__all__ = ["MultiHeadAttention", "attend"]


class MultiHeadAttention(nn.Module):
    """Let each position of some sequences draw from all positions of others.

    Queries come from the ones, keys and values from the others (Vaswani et al. 2017, section
    3.2.3). Called with the same sequences twice, it is the self-attention of the encoder; called by
    a decoder with an encoder's states, it is the attention of Bahdanau et al. 2015, but for how a
    score is made: by a product here, by a small network there.

    width: of the vectors that ask, and of what comes out; asked_width: of those that are asked.
    """

    def __init__(self, width: int, asked_width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query, self.key = Linear(width, width), Linear(asked_width, width)
        self.value, self.output = Linear(asked_width, width), Linear(width, width)

    def forward(self, x_TD: Tensor, asking: Lengths, y_SE: Tensor, asked: Lengths) -> Tensor:
        """What each position of x draws from its sequence of y, (T, D)."""
        mixed_THK = attend(
            self._heads(self.query(x_TD)),
            self._heads(self.key(y_SE)),
            self._heads(self.value(y_SE)),
            asking,
            asked,
        )
        return cast(Tensor, self.output(mixed_THK.flatten(-2)))

    def _heads(self, x_TD: Tensor) -> Tensor:
        return x_TD.view(len(x_TD), self.num_heads, -1)


def attend(
    q_THK: Float[Tensor, "T H K"],
    k_SHK: Float[Tensor, "S H K"],
    v_SHK: Float[Tensor, "S H K"],
    asking: Lengths,
    asked: Lengths,
) -> Float[Tensor, "T H K"]:
    """softmax(q kᵀ / √K) v, between each sequence that asks and the one that is asked.

    Vaswani et al. 2017, eq. 1. Sequence i of `asking` asks sequence i of `asked`.

    Raises:
        InputError: if there are not as many of the ones as of the others.
    """
    pairs = list(_pairs(asking, asked))
    # Not slices, of each of which the gradient would be a whole batch of zeros.
    q_each = torch.functional.split(q_THK, [pair.asking.num_tokens for pair in pairs])
    sizes = [pair.asked.num_tokens for pair in pairs]
    k_each, v_each = (torch.functional.split(x_SHK, sizes) for x_SHK in (k_SHK, v_SHK))
    mixed_THK = [
        functional.scaled_dot_product_attention(
            _by_sequence(q, pair.asking), _by_sequence(k, pair.asked), _by_sequence(v, pair.asked)
        )
        .transpose(1, 2)
        .flatten(0, 1)
        for pair, q, k, v in zip(pairs, q_each, k_each, v_each, strict=True)
    ]
    return mixed_THK[0] if len(mixed_THK) == 1 else torch.cat(mixed_THK)


class _Pair(NamedTuple):
    """Neighboring sequences of which all that ask are of one length, and all that are asked."""

    asking: LengthGroup
    asked: LengthGroup


def _pairs(asking: Lengths, asked: Lengths) -> Iterator[_Pair]:
    if len(asking.each) != len(asked.each):
        raise InputError(
            f"{len(asking.each)} sequences ask {len(asked.each)}; expected one to be asked by each"
        )
    asking_start = asked_start = 0
    for (L, M), group in itertools.groupby(zip(asking.each, asked.each, strict=True)):
        count = len(list(group))
        yield _Pair(LengthGroup(asking_start, count, L), LengthGroup(asked_start, count, M))
        asking_start += count * L
        asked_start += count * M


def _by_sequence(x_THK: Tensor, group: LengthGroup) -> Tensor:
    """The tokens of a group alone, (T, H, K), as (B, H, L, K)."""
    return x_THK.view(group.num_sequences, group.length, *x_THK.shape[1:]).transpose(1, 2)

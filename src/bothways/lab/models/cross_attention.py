"""Attention from one packed batch to another; from a batch to itself it is self-attention.

T packed tokens of the query sequences, S of the key sequences; B pairs of sequences with L query
and M key positions; D, E width of the query and key vectors; H heads of width K = D / H.
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
    """Multi-head attention with queries from one batch and keys and values from another.

    Vaswani et al. 2017, section 3.2.3. From a batch to itself, it is the self-attention of the
    encoder. From a decoder to an encoder's states, it is the attention of Bahdanau et al. 2015,
    with scores from a dot product instead of a small network.

    width: of the query vectors and of the output. key_width: of the vectors that give keys and
        values.
    """

    def __init__(self, width: int, key_width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query, self.key = Linear(width, width), Linear(key_width, width)
        self.value, self.output = Linear(key_width, width), Linear(width, width)

    def forward(
        self, x_TD: Tensor, query_lengths: Lengths, y_SE: Tensor, key_lengths: Lengths
    ) -> Tensor:
        """Attend from each position of x to the sequence of y with the same number, (T, D)."""
        mixed_THK = attend(
            self._heads(self.query(x_TD)),
            self._heads(self.key(y_SE)),
            self._heads(self.value(y_SE)),
            query_lengths,
            key_lengths,
        )
        return cast(Tensor, self.output(mixed_THK.flatten(-2)))

    def _heads(self, x_TD: Tensor) -> Tensor:
        return x_TD.view(len(x_TD), self.num_heads, -1)


def attend(
    q_THK: Float[Tensor, "T H K"],
    k_SHK: Float[Tensor, "S H K"],
    v_SHK: Float[Tensor, "S H K"],
    query_lengths: Lengths,
    key_lengths: Lengths,
) -> Float[Tensor, "T H K"]:
    """softmax(q kᵀ / √K) v, from query sequence i to key sequence i.

    Vaswani et al. 2017, eq. 1.

    Raises:
        InputError: if the numbers of query and key sequences differ.
    """
    pairs = list(_pairs(query_lengths, key_lengths))
    # Not by slicing: the gradient of each slice would be a zero tensor of the whole batch's size.
    q_each = torch.functional.split(q_THK, [pair.queries.num_tokens for pair in pairs])
    sizes = [pair.keys.num_tokens for pair in pairs]
    k_each, v_each = (torch.functional.split(x_SHK, sizes) for x_SHK in (k_SHK, v_SHK))
    mixed_THK = [
        functional.scaled_dot_product_attention(
            _by_sequence(q, pair.queries), _by_sequence(k, pair.keys), _by_sequence(v, pair.keys)
        )
        .transpose(1, 2)
        .flatten(0, 1)
        for pair, q, k, v in zip(pairs, q_each, k_each, v_each, strict=True)
    ]
    return mixed_THK[0] if len(mixed_THK) == 1 else torch.cat(mixed_THK)


class _Pair(NamedTuple):
    """Consecutive sequences whose query lengths are equal, and whose key lengths are equal."""

    queries: LengthGroup
    keys: LengthGroup


def _pairs(query_lengths: Lengths, key_lengths: Lengths) -> Iterator[_Pair]:
    if len(query_lengths.each) != len(key_lengths.each):
        raise InputError(
            f"{len(query_lengths.each)} query sequences and {len(key_lengths.each)} key sequences; "
            "expected equal numbers"
        )
    query_start = key_start = 0
    for (L, M), group in itertools.groupby(zip(query_lengths.each, key_lengths.each, strict=True)):
        count = len(list(group))
        yield _Pair(LengthGroup(query_start, count, L), LengthGroup(key_start, count, M))
        query_start += count * L
        key_start += count * M


def _by_sequence(x_THK: Tensor, run: LengthGroup) -> Tensor:
    """Reshape the tokens of one run from (T, H, K) to (B, H, L, K)."""
    return x_THK.view(run.num_sequences, run.length, *x_THK.shape[1:]).transpose(1, 2)

"""Attention and its gradient, one group of equally long sequences at a time: training on a CPU.

torch's fused CPU kernel does not support dropout, and its fallback consists of many small steps
with a high overhead each. And if each group were a slice in the autograd graph, each slice's
gradient would be a whole batch of zeros. Here all groups of a batch are one node of the graph. With
dropout, the probabilities are kept for the backward pass, in tiles that fit the cache.

T tokens of all sequences end to end; B sequences of one length, L of their positions as queries, M
as keys; H heads, K head width; N = B · H.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bothways.nn.dropout import draw_kept
from bothways.nn.lengths import LengthGroup

__all__ = ["attend_by_length"]

TILE_BYTES = 1 << 20
"""Maximum size of a tile of probabilities, which is traversed five times: it fits most L2
caches."""


def attend_by_length(
    q_THK: Tensor, k_THK: Tensor, v_THK: Tensor, groups: Sequence[LengthGroup], dropout: float
) -> Tensor:
    """dropout(softmax(q kᵀ / √K)) v within each sequence, (T, H, K).

    Memory is quadratic in the lengths with dropout, and linear without. There is no second
    derivative.
    """
    attention: Any = _Dense if dropout else _Fused
    return cast(Tensor, attention.apply(q_THK, k_THK, v_THK, groups, dropout))


class _Fused(torch.autograd.Function):
    """torch's fused kernel, called for each group (Dao 2023)."""

    @staticmethod
    def forward(
        ctx: Any,
        q_THK: Tensor,
        k_THK: Tensor,
        v_THK: Tensor,
        groups: Sequence[LengthGroup],
        _: float,
    ) -> Tensor:
        ctx.groups, ctx.log_sums = groups, []
        mixed_THK = torch.empty_like(q_THK, memory_format=torch.contiguous_format)
        for group in groups:
            qkv_BHLK = (_by_sequence(x, group) for x in (q_THK, k_THK, v_THK))
            mixed_BHLK, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                *qkv_BHLK
            )
            _by_sequence(mixed_THK, group).copy_(mixed_BHLK)
            ctx.log_sums.append(log_sum)
        ctx.save_for_backward(q_THK, k_THK, v_THK, mixed_THK)
        return mixed_THK

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_THK: Tensor) -> tuple[Tensor | None, ...]:
        *qkv_THK, mixed_THK = ctx.saved_tensors
        grads_THK = [torch.empty_like(mixed_THK) for _ in qkv_THK]
        for group, log_sum in zip(ctx.groups, ctx.log_sums, strict=True):
            grads_BHLK = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                _by_sequence(grad_THK, group),
                *(_by_sequence(x, group) for x in qkv_THK),
                _by_sequence(mixed_THK, group),
                log_sum,
                0.0,
                False,
            )
            for grad_BHLK, into_THK in zip(grads_BHLK, grads_THK, strict=True):
                _by_sequence(into_THK, group).copy_(grad_BHLK)
        return *grads_THK, None, None


class _Dense(torch.autograd.Function):
    """Matrix products that keep the probabilities for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        q_THK: Tensor,
        k_THK: Tensor,
        v_THK: Tensor,
        groups: Sequence[LengthGroup],
        dropout: float,
    ) -> Tensor:
        ctx.scale = 1 / math.sqrt(q_THK.shape[-1])
        ctx.kept = []
        scaled_THK = q_THK * ctx.scale
        mixed_THK = torch.empty_like(q_THK, memory_format=torch.contiguous_format)
        for tile in _tiles(groups, q_THK):
            score_NLM = torch.bmm(tile.of(scaled_THK), tile.of(k_THK).mT)
            prob_NLM = torch.softmax(score_NLM, -1)
            kept_NLM = draw_kept(prob_NLM.shape, dropout, prob_NLM.dtype)
            tile.put(torch.bmm(prob_NLM * kept_NLM, tile.of(v_THK)), mixed_THK)
            ctx.kept.append((tile, prob_NLM, kept_NLM))
        ctx.save_for_backward(scaled_THK, k_THK, v_THK)
        return mixed_THK

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_THK: Tensor) -> tuple[Tensor | None, ...]:
        scaled_THK, k_THK, v_THK = ctx.saved_tensors
        grad_q_THK, grad_k_THK, grad_v_THK = (torch.empty_like(scaled_THK) for _ in range(3))
        for tile, prob_NLM, kept_NLM in ctx.kept:
            grad_NLK = tile.of(grad_THK)
            tile.put(torch.bmm((prob_NLM * kept_NLM).mT, grad_NLK), grad_v_THK)
            grad_prob_NLM = torch.bmm(grad_NLK, tile.of(v_THK).mT).mul_(kept_NLM)
            grad_score_NLM = torch.ops.aten._softmax_backward_data(
                grad_prob_NLM, prob_NLM, -1, prob_NLM.dtype
            )
            tile.put(torch.bmm(grad_score_NLM, tile.of(k_THK)), grad_q_THK)
            tile.put(torch.bmm(grad_score_NLM.mT, tile.of(scaled_THK)), grad_k_THK)
        return grad_q_THK.mul_(ctx.scale), grad_k_THK, grad_v_THK, None, None


class _Tile(NamedTuple):
    """Some heads of some sequences of equal length."""

    group: LengthGroup
    heads: slice

    def of(self, x_THK: Tensor) -> Tensor:
        """The tile of queries, keys or values, as a batch of matrices (N, L, K)."""
        x_BHLK = _by_sequence(x_THK[:, self.heads], self.group)
        return x_BHLK[0] if self.group.num_sequences == 1 else x_BHLK.flatten(0, 1)

    def put(self, x_NLK: Tensor, into_THK: Tensor) -> None:
        """Write a tile back: the inverse of `of`."""
        into_BHLK = _by_sequence(into_THK[:, self.heads], self.group)
        into_BHLK.copy_(x_NLK.view(into_BHLK.shape))


def _tiles(groups: Sequence[LengthGroup], like_THK: Tensor) -> Iterator[_Tile]:
    """Split groups into tiles of at most `TILE_BYTES` of probabilities, but at least one head."""
    num_heads = like_THK.shape[1]
    for group in groups:
        at_a_time = max(1, TILE_BYTES // (group.length**2 * like_THK.element_size()))
        sequences, heads = max(1, at_a_time // num_heads), min(at_a_time, num_heads)
        for first in range(0, group.num_sequences, sequences):
            count = min(sequences, group.num_sequences - first)
            part = LengthGroup(group.start + first * group.length, count, group.length)
            for head in range(0, num_heads, heads):
                yield _Tile(part, slice(head, head + heads))


def _by_sequence(x_THK: Tensor, group: LengthGroup) -> Tensor:
    """A view of a group of (T, H, K) as (B, H, L, K)."""
    shape = (group.num_sequences, group.length, *x_THK.shape[1:])
    return x_THK[group.tokens].view(shape).transpose(1, 2)

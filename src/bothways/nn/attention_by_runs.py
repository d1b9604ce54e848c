"""Attention of a packed batch and its gradient, run by run: for training on a CPU.

torch's fused kernel for a CPU takes no dropout, and what it falls back to loses more time between
its many small steps than in them; and when each run is a slice of its own in torch's graph, the
gradient of each slice is a whole batch of zeros. Here all runs of a batch are one node of the
graph. With dropout, the probabilities are kept for the gradient, in pieces that fit the cache.

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
from bothways.nn.lengths import Run

__all__ = ["attend_by_runs"]

PIECE_BYTES = 1 << 20
"""Probabilities at a time, at most: they are gone over five times, and a second-level cache often
holds this much."""


def attend_by_runs(
    q_THK: Tensor, k_THK: Tensor, v_THK: Tensor, runs: Sequence[Run], dropout: float
) -> Tensor:
    """dropout(softmax(q kᵀ / √K)) v within each sequence, (T, H, K).

    With dropout, memory grows with the square of the lengths; without, with the lengths. The
    gradient cannot be differentiated again.
    """
    attention: Any = _Dense if dropout else _Fused
    return cast(Tensor, attention.apply(q_THK, k_THK, v_THK, runs, dropout))


class _Fused(torch.autograd.Function):
    """By torch's fused kernel, run by run (Dao 2023)."""

    @staticmethod
    def forward(
        ctx: Any, q_THK: Tensor, k_THK: Tensor, v_THK: Tensor, runs: Sequence[Run], _: float
    ) -> Tensor:
        ctx.runs, ctx.log_sums = runs, []
        mixed_THK = torch.empty_like(q_THK, memory_format=torch.contiguous_format)
        for run in runs:
            qkv_BHLK = (_by_sequence(x, run) for x in (q_THK, k_THK, v_THK))
            mixed_BHLK, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                *qkv_BHLK
            )
            _by_sequence(mixed_THK, run).copy_(mixed_BHLK)
            ctx.log_sums.append(log_sum)
        ctx.save_for_backward(q_THK, k_THK, v_THK, mixed_THK)
        return mixed_THK

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_THK: Tensor) -> tuple[Tensor | None, ...]:
        *qkv_THK, mixed_THK = ctx.saved_tensors
        grads_THK = [torch.empty_like(mixed_THK) for _ in qkv_THK]
        for run, log_sum in zip(ctx.runs, ctx.log_sums, strict=True):
            found = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                _by_sequence(grad_THK, run),
                *(_by_sequence(x, run) for x in qkv_THK),
                _by_sequence(mixed_THK, run),
                log_sum,
                0.0,
                False,
            )
            for grad_BHLK, into_THK in zip(found, grads_THK, strict=True):
                _by_sequence(into_THK, run).copy_(grad_BHLK)
        return *grads_THK, None, None


class _Dense(torch.autograd.Function):
    """By matrix products, whose probabilities are kept."""

    @staticmethod
    def forward(
        ctx: Any, q_THK: Tensor, k_THK: Tensor, v_THK: Tensor, runs: Sequence[Run], dropout: float
    ) -> Tensor:
        ctx.scale = 1 / math.sqrt(q_THK.shape[-1])
        ctx.kept = []
        scaled_THK = q_THK * ctx.scale
        mixed_THK = torch.empty_like(q_THK, memory_format=torch.contiguous_format)
        for piece in _pieces(runs, q_THK):
            score_NLM = torch.bmm(piece.of(scaled_THK), piece.of(k_THK).mT)
            prob_NLM = torch.softmax(score_NLM, -1)
            kept_NLM = draw_kept(prob_NLM.shape, dropout, prob_NLM.dtype)
            piece.put(torch.bmm(prob_NLM * kept_NLM, piece.of(v_THK)), mixed_THK)
            ctx.kept.append((piece, prob_NLM, kept_NLM))
        ctx.save_for_backward(scaled_THK, k_THK, v_THK)
        return mixed_THK

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_THK: Tensor) -> tuple[Tensor | None, ...]:
        scaled_THK, k_THK, v_THK = ctx.saved_tensors
        grad_q_THK, grad_k_THK, grad_v_THK = (torch.empty_like(scaled_THK) for _ in range(3))
        for piece, prob_NLM, kept_NLM in ctx.kept:
            grad_NLK = piece.of(grad_THK)
            piece.put(torch.bmm((prob_NLM * kept_NLM).mT, grad_NLK), grad_v_THK)
            grad_prob_NLM = torch.bmm(grad_NLK, piece.of(v_THK).mT).mul_(kept_NLM)
            grad_score_NLM = torch.ops.aten._softmax_backward_data(
                grad_prob_NLM, prob_NLM, -1, prob_NLM.dtype
            )
            piece.put(torch.bmm(grad_score_NLM, piece.of(k_THK)), grad_q_THK)
            piece.put(torch.bmm(grad_score_NLM.mT, piece.of(scaled_THK)), grad_k_THK)
        return grad_q_THK.mul_(ctx.scale), grad_k_THK, grad_v_THK, None, None


class _Piece(NamedTuple):
    """Some heads of some sequences of one length."""

    run: Run
    heads: slice

    def of(self, x_THK: Tensor) -> Tensor:
        """The piece of all queries, keys or values, as a batch of matrices (N, L, K)."""
        x_BHLK = _by_sequence(x_THK[:, self.heads], self.run)
        return x_BHLK[0] if self.run.num_sequences == 1 else x_BHLK.flatten(0, 1)

    def put(self, x_NLK: Tensor, into_THK: Tensor) -> None:
        """The inverse of `of`."""
        into_BHLK = _by_sequence(into_THK[:, self.heads], self.run)
        into_BHLK.copy_(x_NLK.view(into_BHLK.shape))


def _pieces(runs: Sequence[Run], like_THK: Tensor) -> Iterator[_Piece]:
    """Cut runs into pieces of at most `PIECE_BYTES` of probabilities, or one head's."""
    num_heads = like_THK.shape[1]
    for run in runs:
        at_a_time = max(1, PIECE_BYTES // (run.length**2 * like_THK.element_size()))
        sequences, heads = max(1, at_a_time // num_heads), min(at_a_time, num_heads)
        for first in range(0, run.num_sequences, sequences):
            count = min(sequences, run.num_sequences - first)
            part = Run(run.start + first * run.length, count, run.length)
            for head in range(0, num_heads, heads):
                yield _Piece(part, slice(head, head + heads))


def _by_sequence(x_THK: Tensor, run: Run) -> Tensor:
    """A run of (T, H, K) as (B, H, L, K), on the same memory."""
    shape = (run.num_sequences, run.length, *x_THK.shape[1:])
    return x_THK[run.tokens].view(shape).transpose(1, 2)

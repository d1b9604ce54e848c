"""The attention of a packed batch: `attend` chooses the fastest of torch's kernels.

T tokens of all sequences end to end; B sequences of one length, L of their positions as queries, M
as keys; H heads of queries, G of keys and values, K head width; R = 2 · longest - 1 distances.
"""

import functools
import importlib.util
import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, assert_never, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from bothways.nn.attention_by_length import attend_by_length
from bothways.nn.disentangled import DistanceScores
from bothways.nn.lengths import LengthGroup, Lengths

DENSE_SCORES = 512 * 512
"""Maximum number of scores of a head that are held in memory (with a bias or dropout): sequences of
up to 512 positions are computed whole, and 8,192 positions need no more memory."""
DENSE_BATCH_SCORES = 4 * DENSE_SCORES
"""Maximum number of scores of a head of all sequences at once, where each has its own."""
WINDOW_CHUNK = (64, 512)
"""Limits on the number of queries per chunk with a window; between them it is twice the window.
Half of the computed scores are then inside the window: smaller chunks waste fewer scores, but need
more calls."""


def attend(
    q_THK: Float[Tensor, "T H K"],
    k_TGK: Float[Tensor, "T G K"],
    v_TGK: Float[Tensor, "T G K"],
    lengths: Lengths,
    bias_HR: Float[Tensor, "H R"] | None = None,
    distance_scores: DistanceScores | None = None,
    *,
    window: int | None = None,
    is_causal: bool = False,
    dropout: float = 0.0,
) -> Float[Tensor, "T H K"]:
    """softmax(q kᵀ / √K + bias) v within each sequence (Vaswani et al. 2017, eq. 1).

    bias_HR: the result of `bias_by_distance`. distance_scores: what disentangled attention adds to
    the scores, which depends on queries and keys. window: the largest distance that attention
    reaches.
    is_causal: whether a position sees only itself and those before it.
    dropout: the share of probabilities set to 0. Heads of keys and values may be fewer than those
    of queries, which share them in groups of H / G. Long sequences need no length x length array:
    memory grows with the length, or with length x window.
    """
    K = q_THK.shape[-1]
    has_bias = bias_HR is not None or distance_scores is not None
    has_mask = has_bias or any(lengths.num_keys)
    match choose_kernel(q_THK.device, q_THK.dtype, K, has_mask, dropout):
        case "varlen":
            # Imported late: it imports torch's compiler, which takes as long as the rest of torch.
            from torch.nn.attention.varlen import varlen_attn

            reach = -1 if window is None else window
            mixed_THK = varlen_attn(
                q_THK,
                k_TGK,
                v_TGK,
                lengths.bounds,
                lengths.bounds,
                lengths.longest,
                lengths.longest,
                window_size=(reach, 0 if is_causal else reach),
                enable_gqa=k_TGK.shape[1] < q_THK.shape[1],
                num_splits=1,  # else results would depend on the longest sequence of the batch
            )
            return cast(Tensor, mixed_THK)  # a pair only if the log-sum-exp is requested
        case "by_length":
            mask = _Mask(bias_HR, distance_scores, window, is_causal)
            return _attend_groups(q_THK, k_TGK, v_TGK, lengths.groups, mask, dropout)
        case unknown:
            assert_never(unknown)


def choose_kernel(
    device: torch.device, dtype: torch.dtype, head_width: int, has_bias: bool, dropout: float
) -> Literal["varlen", "by_length"]:
    """`varlen` for a kernel that takes a whole batch, `by_length` for one call per group.

    The first is FlashAttention (Dao 2023). It needs half precision, a GPU of compute capability 8
    or higher, and a head width of at most 256 that is a multiple of 8; it supports neither a bias
    nor dropout. Old versions of torch lack it.
    """
    if (
        device.type == "cuda"
        and dtype in (torch.float16, torch.bfloat16)
        and not has_bias
        and not dropout
        and head_width <= 256
        and head_width % 8 == 0
        and torch.version.cuda is not None  # not tested on ROCm
        and torch.cuda.get_device_capability(device) >= (8, 0)
        and has_varlen_kernel()
    ):
        return "varlen"
    return "by_length"


@functools.cache
def has_varlen_kernel() -> bool:
    """Whether this torch has `varlen_attn`, with the arguments that `attend` gives it."""
    if importlib.util.find_spec("torch.nn.attention.varlen") is None:
        return False
    from torch.nn.attention.varlen import varlen_attn

    return {"window_size", "num_splits", "enable_gqa"} <= set(
        inspect.signature(varlen_attn).parameters
    )


class Chunk(NamedTuple):
    """A range of queries of a sequence, and the range of keys that they attend to."""

    first_query: int
    end_query: int
    first_key: int
    end_key: int


def chunks(
    length: int, window: int | None, dense: bool, is_causal: bool = False
) -> Iterator[Chunk]:
    """Split the queries of a sequence so that the scores of a chunk need little memory.

    dense: whether the scores of a chunk exist in memory. If not, and without a window, the sequence
        is one chunk.
    """
    size = length
    if window is not None:
        size = min(max(2 * window, WINDOW_CHUNK[0]), WINDOW_CHUNK[1])
    if dense:
        size = min(size, max(DENSE_SCORES // length, 32))
    reach = length if window is None else window
    for first in range(0, length, size):
        end = min(first + size, length)
        end_key = end if is_causal else min(end + reach, length)
        yield Chunk(first, end, max(first - reach, 0), end_key)


def mask_of(
    chunk: Chunk, bias_HR: Tensor | None, window: int | None, is_causal: bool, *, like: Tensor
) -> Tensor | None:
    """The sum to add to the scores of a chunk: the bias, and minus infinity for unseen keys."""
    first_query, end_query, first_key, end_key = chunk
    mask_HLM = None
    if bias_HR is not None:
        # Row i of `unfold` starts at distance `nearest + i`, which belongs to query end - 1 - i.
        longest = (bias_HR.shape[1] + 1) // 2
        nearest = first_key - (end_query - 1) + longest - 1
        span = bias_HR[:, nearest : nearest + (end_query - first_query) + (end_key - first_key) - 1]
        mask_HLM = span.unfold(1, end_key - first_key, 1).flip(1).to(like.dtype)
    if window is not None or is_causal:
        query_L1 = torch.arange(first_query, end_query, device=like.device)[:, None]
        distance_LM = torch.arange(first_key, end_key, device=like.device) - query_L1
        unseen_LM = torch.zeros_like(distance_LM, dtype=torch.bool)
        if window is not None:
            unseen_LM |= distance_LM.abs() > window
        if is_causal:
            unseen_LM |= distance_LM > 0
        if mask_HLM is None:
            mask_HLM = like.new_zeros((1, *unseen_LM.shape))
        mask_HLM = mask_HLM.masked_fill(unseen_LM, -math.inf)
    return mask_HLM


class _Mask(NamedTuple):
    """What decides which keys a query sees and how their scores change.

    bias: (H, R), of `bias_by_distance`. distance_scores, window, is_causal: arguments of `attend`.
    """

    bias: Tensor | None
    distance_scores: DistanceScores | None
    window: int | None
    is_causal: bool

    @property
    def has_bias(self) -> bool:
        """Whether something is added to the scores."""
        return self.bias is not None or self.distance_scores is not None


def _attend_groups(
    q_THK: Tensor,
    k_THK: Tensor,
    v_THK: Tensor,
    groups: Sequence[LengthGroup],
    mask: _Mask,
    dropout: float,
) -> Tensor:
    """Attention within each sequence: one call per group, or per several in training on a CPU."""
    # With dropout the path must not depend on whether gradients are enabled: checkpointing computes
    # a batch twice, once without gradients, and must draw the same dropout.
    is_training = (
        q_THK.device.type == "cpu"
        and not mask.has_bias
        and not mask.is_causal
        and k_THK.shape == q_THK.shape
        and (dropout > 0 or _need_gradient(q_THK, k_THK, v_THK))
        and not torch.compiler.is_compiling()
    )

    def is_joined(group: LengthGroup) -> bool:
        whole = mask.window is None or mask.window >= group.length - 1
        return is_training and whole and (dropout == 0 or group.length**2 <= DENSE_SCORES)

    stretches = list(_stretches(groups, is_joined))
    # `split`, because the gradient of each slice would be a whole batch of zeros.
    sizes = [sum(group.num_tokens for group in stretch) for stretch in stretches]
    q_each, k_each, v_each = (torch.functional.split(x, sizes) for x in (q_THK, k_THK, v_THK))
    mixed_THK = [
        attend_by_length(q, k, v, stretch, dropout)
        if is_joined(stretch[0])
        else _attend_group(q, k, v, stretch[0], mask, dropout)
        for stretch, q, k, v in zip(stretches, q_each, k_each, v_each, strict=True)
    ]
    return mixed_THK[0] if len(mixed_THK) == 1 else torch.cat(mixed_THK)


def _need_gradient(*tensors: Tensor) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def _stretches(
    groups: Sequence[LengthGroup], is_joined: Callable[[LengthGroup], bool]
) -> Iterator[list[LengthGroup]]:
    """Runs of joined groups, and every other group alone; starts are relative to each run."""
    for joined, members_of in itertools.groupby(groups, is_joined):
        members = list(members_of)
        for stretch in [members] if joined else [[group] for group in members]:
            yield [group._replace(start=group.start - stretch[0].start) for group in stretch]


def _attend_group(
    q_THK: Tensor,
    k_THK: Tensor,
    v_THK: Tensor,
    group: LengthGroup,
    mask: _Mask,
    dropout: float,
) -> Tensor:
    """Attention within each sequence of a group, (T, H, K) for the tokens of the group."""
    if mask.distance_scores is not None:
        at_once = max(DENSE_BATCH_SCORES // min(group.length**2, DENSE_SCORES), 1)
        if group.num_sequences > at_once:
            return _attend_parts(q_THK, k_THK, v_THK, group, at_once, mask, dropout)
    q_BHLK, k_BHMK, v_BHMK = (
        x_THK.view(group.num_sequences, group.length, *x_THK.shape[1:]).transpose(1, 2)
        for x_THK in (q_THK, k_THK, v_THK)
    )
    if mask.window is not None and mask.window >= group.length - 1:
        mask = mask._replace(window=None)
    # On a CPU, torch builds the probabilities if there is dropout, and keeps them for the gradient.
    dense = mask.has_bias or (dropout > 0 and q_THK.device.type == "cpu")
    pieces = [
        piece._replace(end_key=min(piece.end_key, group.num_keys or group.length))
        for piece in chunks(group.length, mask.window, dense, mask.is_causal)
    ]
    tensors = (q_BHLK, k_BHMK, v_BHMK)
    if len(pieces) > 1 and dense and torch.is_grad_enabled():
        mixed = [
            checkpoint(_attend_chunk, *tensors, piece, mask, dropout, use_reentrant=False)
            for piece in pieces
        ]
    else:
        mixed = [_attend_chunk(*tensors, piece, mask, dropout) for piece in pieces]
    mixed_BHLK = mixed[0] if len(mixed) == 1 else torch.cat(mixed, 2)
    return mixed_BHLK.transpose(1, 2).flatten(0, 1)


def _attend_parts(
    q_THK: Tensor,
    k_THK: Tensor,
    v_THK: Tensor,
    group: LengthGroup,
    at_once: int,
    mask: _Mask,
    dropout: float,
) -> Tensor:
    """`_attend_group` for a few sequences at once, because each has scores of its own."""
    parts = []
    for first in range(0, group.num_sequences, at_once):
        count = min(at_once, group.num_sequences - first)
        part = LengthGroup(first * group.length, count, group.length)
        q, k, v = (x_THK[part.tokens] for x_THK in (q_THK, k_THK, v_THK))
        parts.append(_attend_group(q, k, v, part._replace(start=0), mask, dropout))
    return torch.cat(parts)


def _attend_chunk(
    q_BHLK: Tensor,
    k_BHMK: Tensor,
    v_BHMK: Tensor,
    chunk: Chunk,
    mask: _Mask,
    dropout: float,
) -> Tensor:
    bias_HR, distance_scores, window, is_causal = mask
    first_query, end_query, first_key, end_key = chunk
    # torch's own causal mask is for chunks that begin with the sequence, and for no other mask.
    by_kernel = is_causal and not mask.has_bias and window is None and first_query == 0
    mask_HLM = mask_of(chunk, bias_HR, window, is_causal and not by_kernel, like=q_BHLK)
    # torch's fused CPU kernel takes masks of 2 or 4 dimensions, not of 3.
    mask_BHLM = None if mask_HLM is None else mask_HLM[None]
    q_BHLK = q_BHLK[:, :, first_query:end_query]
    k_BHMK = k_BHMK[:, :, first_key:end_key]
    if distance_scores is not None:
        scores_BHLM = distance_scores.bias(q_BHLK, k_BHMK, first_query, first_key)
        mask_BHLM = scores_BHLM if mask_BHLM is None else scores_BHLM + mask_BHLM
    return functional.scaled_dot_product_attention(
        q_BHLK,
        k_BHMK,
        v_BHMK[:, :, first_key:end_key],
        mask_BHLM,
        dropout,
        is_causal=by_kernel,
        enable_gqa=k_BHMK.shape[1] < q_BHLK.shape[1],
    )

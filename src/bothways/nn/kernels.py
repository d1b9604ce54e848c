"""The attention of a packed batch, by the best of torch's kernels: one seam, `attend`.

T tokens of all sequences end to end; B sequences of one length, L of their positions as queries, M
as keys; H heads, K head width; R = 2 · longest - 1 distances.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, assert_never, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from bothways.nn.attention_by_runs import attend_by_runs
from bothways.nn.lengths import Lengths, Run

DENSE_SCORES = 512 * 512
"""Scores of a head at a time where they exist in memory (a bias, or dropout): sequences of up to
512 positions are not cut, and 8,192 positions take no more memory than those."""
WINDOW_CHUNK = (64, 512)
"""Fewest and most queries at a time in a local window: twice the window, between these. Half of the
scores then computed are inside the window; smaller chunks waste fewer and cost more calls."""


def attend(
    q_THK: Float[Tensor, "T H K"],
    k_THK: Float[Tensor, "T H K"],
    v_THK: Float[Tensor, "T H K"],
    lengths: Lengths,
    bias_HR: Float[Tensor, "H R"] | None = None,
    *,
    window: int | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "T H K"]:
    """softmax(q kᵀ / √K + bias) v within each sequence (Vaswani et al. 2017, eq. 1).

    bias_HR: what `bias_by_distance` gives. window: the largest distance that is seen. dropout: the
    share of probabilities set to 0. No length x length array is built for a long sequence: memory
    grows with the length, or with length x window.
    """
    K = q_THK.shape[-1]
    match choose_kernel(q_THK.device, q_THK.dtype, K, bias_HR is not None, dropout):
        case "varlen":
            # Here, as it imports torch's compiler, which takes as long as all the rest of torch.
            from torch.nn.attention.varlen import varlen_attn

            reach = (-1, -1) if window is None else (window, window)
            mixed_THK = varlen_attn(
                q_THK,
                k_THK,
                v_THK,
                lengths.bounds,
                lengths.bounds,
                lengths.longest,
                lengths.longest,
                window_size=reach,
                num_splits=1,  # or a sequence's last bits depend on the longest in its batch
            )
            return cast(Tensor, mixed_THK)  # a pair only where the log-sum-exp is asked for
        case "runs":
            return _attend_runs(q_THK, k_THK, v_THK, lengths.runs, bias_HR, window, dropout)
        case unknown:
            assert_never(unknown)


def choose_kernel(
    device: torch.device, dtype: torch.dtype, head_width: int, has_bias: bool, dropout: float
) -> Literal["varlen", "runs"]:
    """`varlen` takes a whole batch, where torch has a kernel for it; `runs` goes by equal lengths.

    The kernel is FlashAttention's (Dao 2023): half precision on a GPU of compute capability 8 or
    more, heads of at most 256 in steps of 8, neither a bias nor dropout.
    """
    if (
        device.type == "cuda"
        and dtype in (torch.float16, torch.bfloat16)
        and not has_bias
        and not dropout
        and head_width <= 256
        and head_width % 8 == 0
        and torch.version.cuda is not None  # not tried on ROCm
        and torch.cuda.get_device_capability(device) >= (8, 0)
    ):
        return "varlen"
    return "runs"


class Chunk(NamedTuple):
    """Some queries of a sequence, and the keys that they are compared with."""

    first_query: int
    end_query: int
    first_key: int
    end_key: int


def chunks(length: int, window: int | None, dense: bool) -> Iterator[Chunk]:
    """Cut the queries of a sequence so that their scores are small in memory.

    `dense` says that a chunk's scores will exist as an array; without a window and without that,
    the kernel needs no cutting.
    """
    size = length
    if window is not None:
        size = min(max(2 * window, WINDOW_CHUNK[0]), WINDOW_CHUNK[1])
    if dense:
        size = min(size, max(DENSE_SCORES // length, 32))
    reach = length if window is None else window
    for first in range(0, length, size):
        end = min(first + size, length)
        yield Chunk(first, end, max(first - reach, 0), min(end + reach, length))


def mask_of(
    chunk: Chunk, bias_HR: Tensor | None, window: int | None, *, like: Tensor
) -> Tensor | None:
    """What is added to a chunk's scores: the bias, and minus infinity outside the window."""
    first_query, end_query, first_key, end_key = chunk
    mask_HLM = None
    if bias_HR is not None:
        # Row i of the unfolding begins at distance `nearest + i`: that of the last query but i.
        longest = (bias_HR.shape[1] + 1) // 2
        nearest = first_key - (end_query - 1) + longest - 1
        span = bias_HR[:, nearest : nearest + (end_query - first_query) + (end_key - first_key) - 1]
        mask_HLM = span.unfold(1, end_key - first_key, 1).flip(1).to(like.dtype)
    if window is not None:
        query_L1 = torch.arange(first_query, end_query, device=like.device)[:, None]
        key_M = torch.arange(first_key, end_key, device=like.device)
        outside_LM = (key_M - query_L1).abs() > window
        if mask_HLM is None:
            mask_HLM = like.new_zeros((1, *outside_LM.shape))
        mask_HLM = mask_HLM.masked_fill(outside_LM, -math.inf)
    return mask_HLM


def _attend_runs(
    q_THK: Tensor,
    k_THK: Tensor,
    v_THK: Tensor,
    runs: Sequence[Run],
    bias_HR: Tensor | None,
    window: int | None,
    dropout: float,
) -> Tensor:
    """Attention within each sequence, run by run; in training on a CPU many runs at a time."""
    # Dropout decides alike whether or not there will be a gradient: a batch that is computed twice,
    # once without, sees the same.
    trained = (
        q_THK.device.type == "cpu"
        and bias_HR is None
        and (dropout > 0 or _wants_gradient(q_THK, k_THK, v_THK))
        and not torch.compiler.is_compiling()
    )

    def together(run: Run) -> bool:
        whole = window is None or window >= run.length - 1
        return trained and whole and (dropout == 0 or run.length**2 <= DENSE_SCORES)

    stretches = list(_stretches(runs, together))
    # Not slices, of each of which the gradient would be a whole batch of zeros.
    sizes = [sum(run.num_tokens for run in stretch) for stretch in stretches]
    q_each, k_each, v_each = (torch.functional.split(x, sizes) for x in (q_THK, k_THK, v_THK))
    mixed_THK = [
        attend_by_runs(q, k, v, stretch, dropout)
        if together(stretch[0])
        else _attend_run(q, k, v, stretch[0], bias_HR, window, dropout)
        for stretch, q, k, v in zip(stretches, q_each, k_each, v_each, strict=True)
    ]
    return mixed_THK[0] if len(mixed_THK) == 1 else torch.cat(mixed_THK)


def _wants_gradient(*tensors: Tensor) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def _stretches(runs: Sequence[Run], together: Callable[[Run], bool]) -> Iterator[list[Run]]:
    """Neighboring runs that go together, and each of the others by itself; starting from 0."""
    for joined, group in itertools.groupby(runs, together):
        members = list(group)
        for stretch in [members] if joined else [[run] for run in members]:
            yield [run._replace(start=run.start - stretch[0].start) for run in stretch]


def _attend_run(
    q_THK: Tensor,
    k_THK: Tensor,
    v_THK: Tensor,
    run: Run,
    bias_HR: Tensor | None,
    window: int | None,
    dropout: float,
) -> Tensor:
    """Attention within each of a run's sequences, (T, H, K) for the run's tokens alone."""
    q_BHLK, k_BHMK, v_BHMK = (
        x_THK.view(run.num_sequences, run.length, *x_THK.shape[1:]).transpose(1, 2)
        for x_THK in (q_THK, k_THK, v_THK)
    )
    if window is not None and window >= run.length - 1:
        window = None
    # On a CPU, dropout leads to a path that builds the probabilities, and training would keep them.
    dense = bias_HR is not None or (dropout > 0 and q_THK.device.type == "cpu")
    pieces = list(chunks(run.length, window, dense))
    tensors = (q_BHLK, k_BHMK, v_BHMK, bias_HR)
    if len(pieces) > 1 and dense and torch.is_grad_enabled():
        mixed = [
            checkpoint(_attend_chunk, *tensors, piece, window, dropout, use_reentrant=False)
            for piece in pieces
        ]
    else:
        mixed = [_attend_chunk(*tensors, piece, window, dropout) for piece in pieces]
    mixed_BHLK = mixed[0] if len(mixed) == 1 else torch.cat(mixed, 2)
    return mixed_BHLK.transpose(1, 2).flatten(0, 1)


def _attend_chunk(
    q_BHLK: Tensor,
    k_BHMK: Tensor,
    v_BHMK: Tensor,
    bias_HR: Tensor | None,
    chunk: Chunk,
    window: int | None,
    dropout: float,
) -> Tensor:
    first_query, end_query, first_key, end_key = chunk
    mask_HLM = mask_of(chunk, bias_HR, window, like=q_BHLK)
    return functional.scaled_dot_product_attention(
        q_BHLK[:, :, first_query:end_query],
        k_BHMK[:, :, first_key:end_key],
        v_BHMK[:, :, first_key:end_key],
        # torch's fused kernel for the CPU takes a mask of 2 or 4 dimensions, not of 3.
        None if mask_HLM is None else mask_HLM[None],
        dropout,
    )

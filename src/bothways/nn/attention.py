"""Self-attention on a packed batch: each token mixes with the tokens of its own sequence.

T tokens of all sequences end to end; L positions of one sequence as queries, M as keys; B sequences
of one length; D model width, H heads, K = D / H head width; R = 2 · longest - 1 distances.
Attribute names are the names in `weights.layout`.
"""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple, assert_never, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention.varlen import varlen_attn
from torch.utils.checkpoint import checkpoint

from bothways.config import EncoderConfig
from bothways.nn.layers import Linear
from bothways.nn.lengths import Lengths, Run

DENSE_CHUNK = 256
"""Queries at a time where their scores with all keys exist in memory (a bias, or dropout)."""
WINDOW_CHUNK = (64, 512)
"""Fewest and most queries at a time in a local window: twice the window, between these. Half of the
scores then computed are inside the window; smaller chunks waste fewer and cost more calls."""


class MultiHeadSelfAttention(nn.Module):
    """Mix each token with the tokens of its own sequence (Vaswani et al. 2017, section 3.2.2)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        D, bias = config.d_model, config.attention_bias
        self.query, self.key = Linear(D, D, bias=bias), Linear(D, D, bias=bias)
        self.value, self.output = Linear(D, D, bias=bias), Linear(D, D, bias=bias)

    def forward(
        self, x_TD: Tensor, lengths: Lengths, layer: int, bias_HR: Tensor | None = None
    ) -> Tensor:
        """What each token draws from its sequence, (T, D)."""
        q_THK, k_THK = self._queries_and_keys(x_TD, lengths, layer)
        mixed_THK = attend(
            q_THK,
            k_THK,
            self._heads(self.value(x_TD)),
            lengths,
            bias_HR,
            window=self.config.window(layer),
            dropout=self.config.attention_dropout if self.training else 0.0,
        )
        output_TD: Tensor = self.output(mixed_THK.flatten(-2))
        return output_TD

    def probabilities(
        self, x_LD: Tensor, lengths: Lengths, layer: int, bias_HR: Tensor | None = None
    ) -> Float[Tensor, "H L L"]:
        """How much each position of one sequence draws from which: rows sum to 1, in float32."""
        q_LHK, k_MHK = self._queries_and_keys(x_LD, lengths, layer)
        score_HLM = torch.einsum("lhk,mhk->hlm", q_LHK, k_MHK) / math.sqrt(q_LHK.shape[-1])
        chunk = Chunk(0, lengths.longest, 0, lengths.longest)
        mask_HLM = _mask(chunk, lengths.longest, bias_HR, self.config.window(layer), like=score_HLM)
        if mask_HLM is not None:
            score_HLM = score_HLM + mask_HLM
        return torch.softmax(score_HLM, -1, dtype=_at_least_float32(score_HLM.dtype))

    def _queries_and_keys(
        self, x_TD: Tensor, lengths: Lengths, layer: int
    ) -> tuple[Tensor, Tensor]:
        q_THK, k_THK = self._heads(self.query(x_TD)), self._heads(self.key(x_TD))
        if self.config.positions == "rotary":
            frequencies = self.config.rotary_frequencies(layer)
            return rotate(q_THK, lengths, frequencies), rotate(k_THK, lengths, frequencies)
        return q_THK, k_THK

    def _heads(self, x_TD: Tensor) -> Tensor:
        return x_TD.view(-1, self.config.num_heads, self.config.head_width)


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
    match choose_kernel(q_THK, bias_HR is not None, dropout):
        case "varlen":
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
            return torch.cat(
                [
                    _attend_run(q_THK, k_THK, v_THK, run, bias_HR, window, dropout)
                    for run in lengths.runs
                ]
            )
        case unknown:
            assert_never(unknown)


def choose_kernel(q_THK: Tensor, has_bias: bool, dropout: float) -> Literal["varlen", "runs"]:
    """`varlen` takes a whole batch, where torch has a kernel for it; `runs` goes by equal lengths.

    The kernel is FlashAttention's (Dao 2023): half precision on a GPU of compute capability 8 or
    more, heads of at most 256 in steps of 8, neither a bias nor dropout.
    """
    K = q_THK.shape[-1]
    if (
        q_THK.device.type == "cuda"
        and q_THK.dtype in (torch.float16, torch.bfloat16)
        and not has_bias
        and not dropout
        and K <= 256
        and K % 8 == 0
        and torch.version.cuda is not None  # ROCm's kernel knows no windows
        and torch.cuda.get_device_capability(q_THK.device) >= (8, 0)
    ):
        return "varlen"
    return "runs"


def rotate(
    x_THK: Float[Tensor, "T H K"], lengths: Lengths, frequencies: tuple[float, ...]
) -> Float[Tensor, "T H K"]:
    """Turn each pair of numbers by an angle that grows with the position: `reference.rotate`."""
    dtype = _at_least_float32(x_THK.dtype)
    cos_T1P, sin_T1P = lengths.rotary(frequencies, dtype)
    a_THP, b_THP = x_THK.chunk(2, -1)
    turned = (a_THP * cos_T1P - b_THP * sin_T1P, b_THP * cos_T1P + a_THP * sin_T1P)
    return torch.cat(turned, -1).to(x_THK.dtype)


def bias_by_distance(
    bias_by_bucket: Float[Tensor, "buckets H"], longest: int, config: EncoderConfig
) -> Float[Tensor, "H R"]:
    """One learned number per head and distance, from 1 - longest to longest - 1.

    The distance is the key's position minus the query's; `reference.bias_by_distance` has the
    buckets (Raffel et al. 2020, section 2.1).
    """
    n = config.relative_buckets // 2
    exact = n // 2
    distance_R = torch.arange(1 - longest, longest, device=bias_by_bucket.device)
    far_R = distance_R.abs().clamp(min=exact).double()
    step_R = torch.log(far_R / exact) / math.log(config.relative_max_distance / exact) * (n - exact)
    coarse_R = (exact + torch.floor(step_R + 1e-4).long()).clamp(max=n - 1)
    bucket_R = torch.where(distance_R.abs() < exact, distance_R.abs(), coarse_R)
    bucket_R = torch.where(distance_R > 0, bucket_R + n, bucket_R)
    return functional.embedding(bucket_R, bias_by_bucket).T


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
        size = min(size, DENSE_CHUNK)
    reach = length if window is None else window
    for first in range(0, length, size):
        end = min(first + size, length)
        yield Chunk(first, end, max(first - reach, 0), min(end + reach, length))


def _attend_run(
    q_THK: Tensor,
    k_THK: Tensor,
    v_THK: Tensor,
    run: Run,
    bias_HR: Tensor | None,
    window: int | None,
    dropout: float,
) -> Tensor:
    """Attention within each of a run's sequences, (run's tokens, H, K)."""
    q_BHLK, k_BHMK, v_BHMK = (
        x_THK[run.tokens].view(run.num_sequences, run.length, *x_THK.shape[1:]).transpose(1, 2)
        for x_THK in (q_THK, k_THK, v_THK)
    )
    if window is not None and window >= run.length - 1:
        window = None
    # On a CPU, dropout leads to a path that builds the probabilities, and training would keep them.
    dense = bias_HR is not None or (dropout > 0 and q_THK.device.type == "cpu")
    pieces = list(chunks(run.length, window, dense))

    def attend_chunk(chunk: Chunk) -> Tensor:
        first_query, end_query, first_key, end_key = chunk
        mask_HLM = _mask(chunk, run.length, bias_HR, window, like=q_BHLK)
        return functional.scaled_dot_product_attention(
            q_BHLK[:, :, first_query:end_query],
            k_BHMK[:, :, first_key:end_key],
            v_BHMK[:, :, first_key:end_key],
            # torch's fused kernel for the CPU takes a mask of 2 or 4 dimensions, not of 3.
            None if mask_HLM is None else mask_HLM[None],
            dropout,
        )

    if len(pieces) > 1 and dense and torch.is_grad_enabled():
        mixed = [checkpoint(attend_chunk, piece, use_reentrant=False) for piece in pieces]
    else:
        mixed = [attend_chunk(piece) for piece in pieces]
    mixed_BHLK = mixed[0] if len(mixed) == 1 else torch.cat(mixed, 2)
    return mixed_BHLK.transpose(1, 2).flatten(0, 1)


def _mask(
    chunk: Chunk, length: int, bias_HR: Tensor | None, window: int | None, *, like: Tensor
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


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)

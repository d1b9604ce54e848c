"""Self-attention on a packed batch: each token mixes with the tokens of its own sequence.

T tokens of all sequences end to end; L positions of one sequence as queries, M as keys; D model
width; H heads, K = D / H head width, P = K / 2 pairs of its numbers; R = 2 · longest - 1 distances.
Attribute names are the names in `weights.layout`.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bothways.model.config import EncoderConfig
from bothways.nn.kernels import Chunk, attend, mask_of
from bothways.nn.layers import Linear
from bothways.nn.lengths import Lengths


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
        everything = Chunk(0, lengths.longest, 0, lengths.longest)
        mask_HLM = mask_of(everything, bias_HR, self.config.window(layer), like=score_HLM)
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


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)

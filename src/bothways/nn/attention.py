"""Self-attention on a packed batch: each token mixes with the tokens of its own sequence.

T tokens of all sequences end to end; L positions of one sequence as queries, M as keys; D model
width; H heads, K = D / H head width.
Attribute names are the names in `weights.layout`.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bothways.model.config import EncoderConfig
from bothways.nn.kernels import Chunk, attend, mask_of
from bothways.nn.layers import Linear
from bothways.nn.lengths import Lengths
from bothways.nn.positions import NO_POSITIONS, PackedAttentionPositions


class MultiHeadSelfAttention(nn.Module):
    """Mix each token with the tokens of its own sequence (Vaswani et al. 2017, section 3.2.2)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        D, bias = config.d_model, config.attention_bias
        self.query, self.key = Linear(D, D, bias=bias), Linear(D, D, bias=bias)
        self.value, self.output = Linear(D, D, bias=bias), Linear(D, D, bias=bias)

    def forward(
        self,
        x_TD: Tensor,
        lengths: Lengths,
        layer: int,
        positions: PackedAttentionPositions = NO_POSITIONS,
    ) -> Tensor:
        """The attention output of each token, (T, D)."""
        q_THK, k_THK = self._queries_and_keys(x_TD, lengths, positions)
        mixed_THK = attend(
            q_THK,
            k_THK,
            self._heads(self.value(x_TD)),
            lengths,
            positions.score_bias,
            window=self.config.window(layer),
            dropout=self.config.attention_dropout if self.training else 0.0,
        )
        output_TD: Tensor = self.output(mixed_THK.flatten(-2))
        return output_TD

    def probabilities(
        self,
        x_LD: Tensor,
        lengths: Lengths,
        layer: int,
        positions: PackedAttentionPositions = NO_POSITIONS,
    ) -> Float[Tensor, "H L L"]:
        """Attention probabilities of one sequence, at least in float32; rows sum to 1."""
        q_LHK, k_MHK = self._queries_and_keys(x_LD, lengths, positions)
        score_HLM = torch.einsum("lhk,mhk->hlm", q_LHK, k_MHK) / math.sqrt(q_LHK.shape[-1])
        everything = Chunk(0, lengths.longest, 0, lengths.longest)
        mask_HLM = mask_of(
            everything, positions.score_bias, self.config.window(layer), like=score_HLM
        )
        if mask_HLM is not None:
            score_HLM = score_HLM + mask_HLM
        return torch.softmax(
            score_HLM, -1, dtype=torch.promote_types(score_HLM.dtype, torch.float32)
        )

    def _queries_and_keys(
        self, x_TD: Tensor, lengths: Lengths, positions: PackedAttentionPositions
    ) -> tuple[Tensor, Tensor]:
        q_THK, k_THK = self._heads(self.query(x_TD)), self._heads(self.key(x_TD))
        return positions.rotate(q_THK, lengths), positions.rotate(k_THK, lengths)

    def _heads(self, x_TD: Tensor) -> Tensor:
        return x_TD.view(-1, self.config.num_heads, self.config.head_width)

"""The encoder block: attention, then feed-forward, each added to its input and normalized.

T tokens of all sequences end to end; D model width; F feed-forward width.
Attribute names are the names in `weights.layout`. Vaswani et al. 2017, section 3.1.
"""

from typing import assert_never

from torch import Tensor, nn

from bothways.model.config import EncoderConfig
from bothways.nn.attention import MultiHeadSelfAttention
from bothways.nn.dropout import Dropout
from bothways.nn.experts import MixtureOfExperts
from bothways.nn.layers import Linear, make_norm
from bothways.nn.lengths import Lengths
from bothways.nn.positions import NO_POSITIONS, PackedAttentionPositions


class EncoderBlock(nn.Module):
    """One block. Layers may share it, so `forward` takes the index of the layer."""

    def __init__(self, config: EncoderConfig, block: int) -> None:
        super().__init__()
        D = config.d_model
        self.norm_placement = config.norm_placement
        self.residual_scale = config.residual_scale
        self.attention = MultiHeadSelfAttention(config)
        self.attention_norm = (
            make_norm(config, D) if config.has_attention_norm(block) else nn.Identity()
        )
        self.feed_forward = (
            MixtureOfExperts(config) if config.has_experts(block) else FeedForward(config)
        )
        self.feed_forward_norm = make_norm(config, D)
        match config.norm_placement:
            case "post" | "pre":
                pass
            case "sandwich":
                self.attention_output_norm = make_norm(config, D)
                self.feed_forward_output_norm = make_norm(config, D)
            case unknown:
                assert_never(unknown)
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        x_TD: Tensor,
        lengths: Lengths,
        layer: int,
        positions: PackedAttentionPositions = NO_POSITIONS,
    ) -> Tensor:
        """Map (T, D) to (T, D)."""
        match self.norm_placement:
            case "post":  # Vaswani et al. 2017; BERT
                x_TD = self.attention_norm(
                    self._add(x_TD, self.attention(x_TD, lengths, layer, positions))
                )
                x_TD = self.feed_forward_norm(self._add(x_TD, self.feed_forward(x_TD)))
            case "pre":  # Xiong et al. 2020, figure 1b
                x_TD = self._add(
                    x_TD, self.attention(self.attention_norm(x_TD), lengths, layer, positions)
                )
                x_TD = self._add(x_TD, self.feed_forward(self.feed_forward_norm(x_TD)))
            case "sandwich":  # Ding et al. 2021, section 2.4
                mixed_TD = self.attention(self.attention_norm(x_TD), lengths, layer, positions)
                x_TD = self._add(x_TD, self.attention_output_norm(mixed_TD))
                del mixed_TD
                inner_TD = self.feed_forward(self.feed_forward_norm(x_TD))
                x_TD = self._add(x_TD, self.feed_forward_output_norm(inner_TD))
            case unknown:
                assert_never(unknown)
        return x_TD

    def _add(self, x_TD: Tensor, y_TD: Tensor) -> Tensor:
        """The input of a sublayer plus its output."""
        y_TD = self.dropout(y_TD)
        return x_TD + (y_TD if self.residual_scale == 1 else y_TD * self.residual_scale)

    def probabilities(
        self,
        x_LD: Tensor,
        lengths: Lengths,
        layer: int,
        positions: PackedAttentionPositions = NO_POSITIONS,
    ) -> Tensor:
        """The attention probabilities (H, L, L) of one sequence with block input `x_LD`."""
        match self.norm_placement:
            case "post":
                return self.attention.probabilities(x_LD, lengths, layer, positions)
            case "pre" | "sandwich":
                normed_LD = self.attention_norm(x_LD)
                return self.attention.probabilities(normed_LD, lengths, layer, positions)
            case unknown:
                assert_never(unknown)


class FeedForward(nn.Module):
    """A two-layer network, applied to each token (Vaswani et al. 2017, section 3.3).

    down(act(up(x))); gated, down(act(gate(x)) · up(x)) (Shazeer 2020, eq. 6).
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        D, F, bias = config.d_model, config.d_ff, config.has_feed_forward_input_bias
        self.activation = config.activation
        self.gate = Linear(D, F, bias=bias) if config.gated else None
        self.up = Linear(D, F, bias=bias)
        self.down = Linear(F, D, bias=config.feed_forward_bias)

    def forward(self, x_TD: Tensor) -> Tensor:
        """Map (T, D) to (T, D)."""
        if self.gate is None:
            hidden_TF = self.up(x_TD, self.activation)
        else:
            hidden_TF = self.gate(x_TD, self.activation) * self.up(x_TD)
        y_TD: Tensor = self.down(hidden_TF)
        return y_TD

"""A feed-forward that is a mixture of experts, of which each token uses a few.

T tokens of all sequences end to end; D model width; F feed-forward width of an expert; X experts; k
experts per token; E tokens of one expert.
"""

import torch
from torch import Tensor, nn

from bothways.model.config import EncoderConfig
from bothways.nn.layers import activate
from bothways.nn.onednn import linear

__all__ = ["MixtureOfExperts"]


class MixtureOfExperts(nn.Module):
    """`reference.block.mixture_of_experts`, where each expert computes its own tokens only."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.experts_per_token = config.experts_per_token
        self.router = Matrix(config.num_experts, config.d_model)
        self.experts = Experts(config)

    def forward(self, x_TD: Tensor) -> Tensor:
        """Map (T, D) to (T, D)."""
        # In float32 at least: experts are chosen by small differences.
        logit_TX = linear(x_TD, self.router.weight, None).to(
            torch.promote_types(x_TD.dtype, torch.float32)
        )
        # A stable sort chooses the first among equally probable experts, which topk may not.
        p_TX, expert_TX = torch.softmax(logit_TX, -1).sort(dim=-1, descending=True, stable=True)
        k = self.experts_per_token
        y_TD: Tensor = self.experts(x_TD, p_TX[:, :k].to(x_TD.dtype), expert_TX[:, :k])
        return y_TD


class Experts(nn.Module):
    """The experts of one block, and the bias of their sum."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.num_experts = config.num_experts
        self.activation = config.activation
        rows = config.num_experts * config.d_ff
        self.up = Matrix(rows, config.d_model)
        self.down = Matrix(rows, config.d_model)
        self.bias: nn.Parameter | None = (
            nn.Parameter(torch.empty(config.d_model)) if config.feed_forward_bias else None
        )

    def forward(self, x_TD: Tensor, p_Tk: Tensor, expert_Tk: Tensor) -> Tensor:
        """The sum of each token's experts, weighted by their probabilities, (T, D).

        p_Tk, expert_Tk: probabilities and numbers of each token's experts.
        """
        up_XFD, down_XFD = (
            each.weight.view(self.num_experts, -1, x_TD.shape[1]) for each in (self.up, self.down)
        )
        y_TD = torch.zeros_like(x_TD)
        for expert in range(self.num_experts):
            token_E, choice_E = torch.where(expert_Tk == expert)
            # Not skipped without tokens: in distributed training, every weight needs a gradient.
            inner_EF = activate(linear(x_TD[token_E], up_XFD[expert], None), self.activation)
            output_ED = p_Tk[token_E, choice_E, None] * linear(inner_EF, down_XFD[expert].T, None)
            y_TD = y_TD.index_add(0, token_E, output_ED.to(y_TD.dtype))
        return y_TD if self.bias is None else y_TD + self.bias


class Matrix(nn.Module):
    """A weight matrix alone."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, columns))

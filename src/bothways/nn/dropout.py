"""Dropout (Srivastava et al. 2014, section 4), drawn several times faster on a CPU than by torch.

torch draws a number for each decision, on one core. Here 64 random bits make four decisions.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Dropout", "draw_kept", "dropout"]

_STEPS = 1 << 16
"""The share that is dropped is rounded to a multiple of 1 / _STEPS: what 16 bits can tell apart."""


class Dropout(nn.Module):
    """In training, set a share `p` of the numbers to 0, and scale up the rest."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Map any shape to the same."""
        return dropout(x, self.p) if self.training else x

    def extra_repr(self) -> str:
        """The share, for print."""
        return f"p={self.p}"


def dropout(x: Tensor, p: float) -> Tensor:
    """`x` with a share `p` set to 0 and the rest divided by 1 - p."""
    if p == 0:
        return x
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        return x * draw_kept(x.shape, p, x.dtype)
    return functional.dropout(x, p)


def draw_kept(shape: tuple[int, ...], p: float, dtype: torch.dtype) -> Tensor:
    """What dropout multiplies by: 0 with probability `p`, else 1 / (1 - p); by torch's generator.

    `p` is below 1; it is rounded to a multiple of 2⁻¹⁶, and the scale is that of the rounded share,
    so that the mean of what is multiplied stays the same.
    """
    count = torch.Size(shape).numel()
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    dropped = min(round(p * _STEPS), _STEPS - 1)
    kept = bits.view(torch.int16)[:count] >= dropped - _STEPS // 2
    return kept.view(shape).to(dtype).mul_(_STEPS / (_STEPS - dropped))

"""Dropout (Srivastava et al. 2014, section 4), several times faster on a CPU than torch's.

torch draws one random number per element, on one core. Here 64 random bits serve four elements.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Dropout", "draw_kept", "dropout"]

_STEPS = 1 << 16
"""The dropout rate is rounded to a multiple of 1 / _STEPS, the resolution of 16 bits."""


class Dropout(nn.Module):
    """In training, set a share `p` of the elements to 0 and scale up the others."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor to one of the same shape."""
        return dropout(x, self.p) if self.training else x

    def extra_repr(self) -> str:
        """The dropout rate, for `repr`."""
        return f"p={self.p}"


def dropout(x: Tensor, p: float) -> Tensor:
    """`x` with a share `p` set to 0 and the rest divided by 1 - p."""
    if p == 0:
        return x
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        return x * draw_kept(x.shape, p, x.dtype)
    return functional.dropout(x, p)


def draw_kept(shape: tuple[int, ...], p: float, dtype: torch.dtype) -> Tensor:
    """The factors of dropout: 0 with probability `p`, else 1 / (1 - p); from torch's generator.

    `p` is below 1 and rounded to a multiple of 2⁻¹⁶. The scale follows the rounded rate, so that
    the expected value does not change.
    """
    count = torch.Size(shape).numel()
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    dropped = min(round(p * _STEPS), _STEPS - 1)
    kept = bits.view(torch.int16)[:count] >= dropped - _STEPS // 2
    return kept.view(shape).to(dtype).mul_(_STEPS / (_STEPS - dropped))

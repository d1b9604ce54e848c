"""The neighborhoods of positions, which convolutions map.

T tokens of all sequences end to end; E width of their vectors; S = number of offsets · E.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from bothways.nn.lengths import Lengths

__all__ = ["neighbors"]


def neighbors(
    x_TE: Float[Tensor, "T E"], lengths: Lengths, offsets: list[int]
) -> Float[Tensor, "T S"]:
    """The vectors at each offset from a position, end to end; 0 beyond the ends of a sequence."""
    if offsets == [0]:
        return x_TE
    length_T = lengths.per_token(lengths.lengths_B)
    shifted = []
    for offset in offsets:
        position_T = lengths.position_T + offset
        is_inside_T = (position_T >= 0) & (position_T < length_T)
        before, after = max(-offset, 0), max(offset, 0)
        shifted_TE = functional.pad(x_TE, (0, 0, before, after))[after : after + len(x_TE)]
        shifted.append(torch.where(is_inside_T[:, None], shifted_TE, 0.0))
    return torch.cat(shifted, 1)

"""Pooling on a packed batch: from one vector per token to one vector per sequence.

T tokens of all sequences end to end; B sequences; D model width. `reference.pool` has the formulae.
"""

from typing import assert_never

import torch
from jaxtyping import Float
from torch import Tensor

from bothways.config import PoolingMode
from bothways.nn.lengths import Lengths


def pool(
    x_TD: Float[Tensor, "T D"], lengths: Lengths, mode: PoolingMode, *, skip: int = 0
) -> Float[Tensor, "B D"]:
    """Pool the positions from `skip` on, in float32 at least; `cls` is the first of all.

    `skip` must leave each sequence a position.
    """
    x_TD = x_TD.to(torch.promote_types(x_TD.dtype, torch.float32))
    match mode:
        case "cls":
            return x_TD[lengths.bounds[:-1].long()]
        case "last":
            return x_TD[lengths.bounds[1:].long() - 1]
        case "max":
            return _reduce(x_TD, "max", lengths, skip)
        case "mean":
            return _reduce(x_TD, "mean", lengths, skip)
        case "mean_sqrt_len":
            kept_B1 = (lengths.lengths_B - skip)[:, None]
            return _reduce(x_TD, "sum", lengths, skip) / kept_B1.to(x_TD.dtype).sqrt()
        case "weighted_mean":  # Muennighoff 2022, section 3.1
            weight_T1 = (lengths.position_T + 1)[:, None].to(x_TD.dtype)
            total_B1 = _reduce(weight_T1, "sum", lengths, skip)
            return _reduce(x_TD * weight_T1, "sum", lengths, skip) / total_B1
        case unknown:
            assert_never(unknown)


def _reduce(x_TD: Tensor, how: str, lengths: Lengths, skip: int) -> Tensor:
    if skip:
        x_TD = x_TD[lengths.position_T >= skip]
    return torch.segment_reduce(x_TD, how, lengths=lengths.lengths_B - skip)

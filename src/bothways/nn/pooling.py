"""Pooling on a packed batch: from one vector per token to one vector per sequence.

T tokens of all sequences end to end; B sequences; D model width. `reference.pool` has the formulas.
"""

from typing import assert_never

import torch
from jaxtyping import Float
from torch import Tensor

from bothways.model.config import PoolingMode
from bothways.nn.lengths import Lengths


def pool(
    x_TD: Float[Tensor, "T D"], lengths: Lengths, mode: PoolingMode, *, skip: int = 0
) -> Float[Tensor, "B D"]:
    """Pool the positions from `skip` on, in float32 at least.

    Each sequence must have more than `skip` positions. Sums are accumulated in float64: sequential
    float32 sums over a long sequence are wrong in the fifth digit.
    """
    match mode:
        case "cls":
            pooled_BD = x_TD[lengths.bounds[:-1].long() + skip]
        case "last":
            pooled_BD = x_TD[lengths.bounds[1:].long() - 1]
        case "max":
            pooled_BD = _reduce(x_TD, "max", lengths, skip)
        case "mean":
            pooled_BD = _reduce(x_TD.double(), "mean", lengths, skip)
        case "mean_sqrt_len":
            kept_B1 = (lengths.lengths_B - skip)[:, None]
            pooled_BD = _reduce(x_TD.double(), "sum", lengths, skip) / kept_B1.sqrt()
        case "weighted_mean":  # Muennighoff 2022, section 3.1
            weight_T1 = (lengths.position_T + 1)[:, None].double()
            total_B1 = _reduce(weight_T1, "sum", lengths, skip)
            pooled_BD = _reduce(x_TD * weight_T1, "sum", lengths, skip) / total_B1
        case "mean_content":
            real_T1 = (lengths.position_T >= skip)[:, None].double()
            content_T1 = real_T1 * lengths.content_T[:, None]
            has_content_B1 = _reduce(content_T1, "sum", lengths, 0) > 0
            weight_T1 = torch.where(lengths.per_token(has_content_B1), content_T1, real_T1)
            total_B1 = _reduce(weight_T1, "sum", lengths, 0)
            pooled_BD = _reduce(x_TD * weight_T1, "sum", lengths, 0) / total_B1
        case unknown:
            assert_never(unknown)
    return pooled_BD.to(torch.promote_types(x_TD.dtype, torch.float32))


def _reduce(x_TD: Tensor, how: str, lengths: Lengths, skip: int) -> Tensor:
    if skip:
        x_TD = x_TD[lengths.position_T >= skip]
    return torch.segment_reduce(x_TD, how, lengths=lengths.lengths_B - skip)

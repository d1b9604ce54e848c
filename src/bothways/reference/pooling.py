"""Pooling: from one vector per position to one vector per sequence.

L positions; D model width. The modes are those of sentence-transformers (Reimers and Gurevych 2019,
section 3, and its later releases).
"""

import math
from typing import assert_never

import numpy as np
from array_api_compat import array_namespace, device
from jaxtyping import Bool, Float

from bothways.model.config import PoolingMode
from bothways.reference.layers import Array


def pool(
    x_LD: Float[Array, "L D"],
    mode: PoolingMode,
    *,
    skip: int = 0,
    content_L: Bool[np.ndarray, "L"] | None = None,
) -> Float[Array, "D"]:
    """Pool the positions from `skip` on, which leaves out a prompt.

    cls, last:      the first vector, the last vector
    max, mean:      the maximum, the mean of each dimension
    mean_sqrt_len:  the sum divided by the square root of the number of positions
    weighted_mean:  the mean weighted by position, counted from 1 (Muennighoff 2022, section 3.1)
    mean_content:   the mean of the positions that `content_L` marks; of all if it marks none
    """
    xp = array_namespace(x_LD)
    L = x_LD.shape[0]
    kept_LD = x_LD[skip:, :]
    match mode:
        case "cls":
            return kept_LD[0, :]
        case "last":
            return kept_LD[-1, :]
        case "max":
            return xp.max(kept_LD, axis=0)
        case "mean":
            return xp.mean(kept_LD, axis=0)
        case "mean_sqrt_len":
            return xp.sum(kept_LD, axis=0) / math.sqrt(L - skip)
        case "weighted_mean":
            weight_L1 = xp.arange(skip + 1, L + 1, dtype=x_LD.dtype, device=device(x_LD))[:, None]
            return xp.sum(kept_LD * weight_L1, axis=0) / xp.sum(weight_L1)
        case "mean_content":
            if content_L is None or not content_L[skip:].any():
                return xp.mean(kept_LD, axis=0)
            place_N = np.flatnonzero(content_L[skip:])
            return xp.mean(
                xp.take(kept_LD, xp.asarray(place_N, device=device(x_LD)), axis=0), axis=0
            )
        case unknown:
            assert_never(unknown)

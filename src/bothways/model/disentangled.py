"""The buckets and projections of disentangled attention (He et al. 2021, section 3.1).

A table has a vector for each bucket of distance: k for each direction, 2 k in all.
"""

import functools
import math
from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from bothways.model.config import EncoderConfig

__all__ = ["position_projections", "relative_rows"]


def position_projections(config: "EncoderConfig") -> tuple[str, ...]:
    """The maps of attention that project the vectors of distances and nothing else.

    `position_key` gives what queries are multiplied with, `position_query` what keys are.
    """
    match config.attention_positions:
        case "disentangled":
            if config.shared_position_projections:
                return ()
            terms = {
                "position_key": config.content_to_position,
                "position_query": config.position_to_content,
            }
            return tuple(name for name, is_used in terms.items() if is_used)
        case "rotary" | "relative" | "alibi" | "none":
            return ()
        case unknown:
            assert_never(unknown)


def relative_rows(config: "EncoderConfig", longest: int) -> tuple[int, ...]:
    """The row of the table for each distance from 1 - longest to longest - 1.

    The distance is the key's position minus the query's, and rows fall as it grows: row k is that
    of distance 0 (He et al. 2021, eq. 3).
    """
    far = config.relative_max_distance if config.relative_log_buckets else None
    return _rows(config.relative_buckets // 2, far, longest)


@functools.lru_cache(maxsize=16)
def _rows(buckets: int, max_distance: int | None, longest: int) -> tuple[int, ...]:
    ahead = [_bucket(distance, buckets, max_distance) for distance in range(longest)]
    after = [min(buckets + bucket, 2 * buckets - 1) for bucket in ahead]
    before = [max(buckets - bucket, 0) for bucket in ahead]
    return (*reversed(after), *before[1:])


def _bucket(distance: int, buckets: int, max_distance: int | None) -> int:
    """The bucket of a distance, before those beyond the last share it.

    Distances up to half of the buckets have one each; the others share buckets on a logarithmic
    scale, on which the distance before `max_distance` is the last (DeBERTa's code,
    `make_log_bucket_position`).
    """
    exact = buckets // 2
    if max_distance is None or distance <= exact:
        return distance
    scale = math.log((max_distance - 1) / exact)
    return exact + math.ceil(math.log(distance / exact) / scale * (exact - 1))

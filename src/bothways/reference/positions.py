"""Positions: what is added to the embeddings, and what attention does with distance.

L positions as queries, M the same positions as keys; E embedding width; H heads, K head width,
P = K / 2 pairs of its numbers.
"""

import math
from typing import Any, NamedTuple, assert_never

from array_api_compat import array_namespace, device
from jaxtyping import Float, Int, Num

from bothways.model.alibi import alibi_slopes
from bothways.model.config import EncoderConfig
from bothways.model.rotary import Rotation
from bothways.reference.disentangled import DistanceTable, distance_table
from bothways.reference.layers import Array, Arrays


def add_positions(
    x_LE: Float[Array, "L E"], values: Num[Array, "L *C"], w: Arrays, config: EncoderConfig
) -> Array:
    """Add to each embedding a vector for its position. values: the ids (L,) or vectors (L, C)."""
    L, E = x_LE.shape
    match config.position_embedding:
        case "learned":
            row_L = position_rows(values, config)
            return x_LE + array_namespace(x_LE).take(w["embedding.position.weight"], row_L, axis=0)
        case "sinusoidal":
            return x_LE + sinusoids(L, E, like=x_LE)
        case "none":
            return x_LE
        case unknown:
            assert_never(unknown)


def position_rows(values: Num[Array, "L *C"], config: EncoderConfig) -> Int[Array, "L"]:
    """Row of the position table for each position.

    A padding token within a sequence is not counted where the config has a
    `position_padding_token`: it takes the row before the first position's.
    """
    xp = array_namespace(values)
    first = config.position_offset
    if config.position_padding_token is None:
        return xp.arange(first, first + values.shape[0], dtype=xp.int64, device=device(values))
    counted_L = xp.astype(values != config.position_padding_token, xp.int64)
    return first - 1 + counted_L * xp.cumulative_sum(counted_L)


class AttentionPositions(NamedTuple):
    """What attention in one layer does with the positions of a sequence.

    rotation: how queries and keys are rotated; None for no rotation.
    score_bias: what is added to the scores, (H, L, M); None for nothing.
    distances: the table of disentangled attention; None for attention without.
    """

    rotation: Rotation | None = None
    score_bias: Array | None = None
    distances: DistanceTable | None = None

    def rotate(self, x_HLK: Float[Array, "H L K"]) -> Float[Array, "H L K"]:
        """Queries or keys, rotated by position if this layer does so."""
        return x_HLK if self.rotation is None else rotate(x_HLK, self.rotation)

    def with_keys(self, num_keys: int, num_heads: int, *, like: Array) -> "AttentionPositions":
        """The same where positions from `num_keys` on are not attended to: a bias of -infinity."""
        xp = array_namespace(like)
        L = like.shape[0]
        hidden_M = xp.arange(L, device=device(like)) >= num_keys
        zero = xp.zeros((num_heads, L, L), dtype=like.dtype, device=device(like))
        bias_HLM = zero if self.score_bias is None else self.score_bias
        return self._replace(score_bias=xp.where(hidden_M, -math.inf, bias_HLM))


NO_POSITIONS = AttentionPositions()
"""Attention that ignores the order of its inputs."""


def attention_positions(
    weights: Arrays, config: EncoderConfig, layer: int, num_positions: int
) -> AttentionPositions:
    """How attention in `layer` uses the positions of a sequence of `num_positions`."""
    match config.attention_positions:
        case "rotary":
            return AttentionPositions(rotation=config.rotation(layer))
        case "relative":
            bias = bias_by_distance(weights["relative_bias.weight"], num_positions, config)
            return AttentionPositions(score_bias=bias)
        case "alibi":
            like = weights["blocks.0.attention.query.weight"]
            return AttentionPositions(
                score_bias=linear_bias(config.num_heads, num_positions, like=like)
            )
        case "disentangled":
            return AttentionPositions(distances=distance_table(weights, config, num_positions))
        case "none":
            return NO_POSITIONS
        case unknown:
            assert_never(unknown)


def sinusoids(num_positions: int, width: int, *, like: Array) -> Float[Array, "L E"]:
    """Fixed vectors with wavelengths from 2π to 10000 · 2π (Vaswani et al. 2017, section 3.5).

    PE(p, 2i) = sin(p / 10000^(2i/E)),  PE(p, 2i+1) = cos(p / 10000^(2i/E))
    """
    xp = array_namespace(like)
    placement: dict[str, Any] = {"dtype": like.dtype, "device": device(like)}
    position_L1 = xp.arange(num_positions, **placement)[:, None]
    dimension_E = xp.arange(width, **placement)
    even_E = dimension_E - dimension_E % 2
    angle_LE = position_L1 / 10_000.0 ** (even_E / width)
    return xp.where(dimension_E % 2 == 0, xp.sin(angle_LE), xp.cos(angle_LE))


def rotate(x_HLK: Float[Array, "H L K"], rotation: Rotation) -> Float[Array, "H L K"]:
    """Rotate each pair of numbers by an angle proportional to its position: Su et al. 2021, eq. 34.

    Pair i is (x[i], x[i + K/2]); at position p it is rotated by p · frequencies[i], so that the
    product of a query and a key depends on their distance only. The frequencies are base^(-2i/K) if
    they are not scaled. The magnitude multiplies the result.
    """
    xp = array_namespace(x_HLK)
    L, K = x_HLK.shape[1:]
    placement: dict[str, Any] = {"dtype": x_HLK.dtype, "device": device(x_HLK)}
    frequency_P = xp.asarray(rotation.frequencies, **placement)
    angle_LP = xp.arange(L, **placement)[:, None] * frequency_P
    cos_LP, sin_LP = (rotation.magnitude * f(angle_LP) for f in (xp.cos, xp.sin))
    a_HLP, b_HLP = x_HLK[..., : K // 2], x_HLK[..., K // 2 :]
    return xp.concat((a_HLP * cos_LP - b_HLP * sin_LP, b_HLP * cos_LP + a_HLP * sin_LP), axis=-1)


def bias_by_distance(
    bias_by_bucket: Float[Array, "buckets H"], num_positions: int, config: EncoderConfig
) -> Float[Array, "H L L"]:
    """A learned number per head and bucket of distance, to be added to the scores.

    Raffel et al. 2020, section 2.1. Each direction has n buckets: distances below n/2 have one
    each; those up to `relative_max_distance` share the rest on a logarithmic scale; all larger ones
    share the last. Keys after the query use the second half of the buckets.
    """
    xp = array_namespace(bias_by_bucket)
    L, H = num_positions, bias_by_bucket.shape[1]
    n = config.relative_buckets // 2
    exact = n // 2
    distance_LM = distances(L, L, like=bias_by_bucket)
    far_LM = xp.clip(xp.abs(distance_LM), exact, None)
    # 1e-4 keeps a whole number whole after rounding in the logarithms.
    step_LM = xp.log(far_LM / exact) / math.log(config.relative_max_distance / exact) * (n - exact)
    coarse_LM = xp.clip(exact + xp.floor(step_LM + 1e-4), None, n - 1)
    bucket_LM = xp.where(xp.abs(distance_LM) < exact, xp.abs(distance_LM), coarse_LM)
    bucket_LM = xp.where(distance_LM > 0, bucket_LM + n, bucket_LM)
    rows = xp.take(bias_by_bucket, xp.reshape(xp.astype(bucket_LM, xp.int64), (-1,)), axis=0)
    return xp.permute_dims(xp.reshape(rows, (L, L, H)), (2, 0, 1))


def linear_bias(num_heads: int, num_positions: int, *, like: Array) -> Float[Array, "H L L"]:
    """Minus the distance times the slope of each head: Press et al. 2022, section 3.

    The paper's attention looks back only; an encoder has the same bias in both directions (Günther
    et al. 2023, section 4.1).
    """
    xp = array_namespace(like)
    slope_H = xp.asarray(alibi_slopes(num_heads), dtype=like.dtype, device=device(like))
    distance_LM = xp.abs(distances(num_positions, num_positions, like=like))
    return -slope_H[:, None, None] * distance_LM


def distances(num_queries: int, num_keys: int, *, like: Array) -> Float[Array, "L M"]:
    """Position of the key minus position of the query."""
    xp = array_namespace(like)
    placement: dict[str, Any] = {"dtype": like.dtype, "device": device(like)}
    return xp.arange(num_keys, **placement)[None, :] - xp.arange(num_queries, **placement)[:, None]

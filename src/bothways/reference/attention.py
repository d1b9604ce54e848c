"""Self-attention: every position asks every other, and takes from each in proportion to the answer.

L positions as queries, M the same positions as keys; D model width, H heads, K = D / H head width.
"""

import math
from collections.abc import Sequence
from typing import Any

from array_api_compat import array_namespace, device
from jaxtyping import Float

from bothways.model.config import EncoderConfig
from bothways.reference.layers import Array, Arrays, linear


def self_attention(
    x_LD: Float[Array, "L D"],
    w: Arrays,
    config: EncoderConfig,
    layer: int,
    relative_bias: Float[Array, "buckets H"] | None = None,
) -> tuple[Float[Array, "L D"], Float[Array, "H L L"]]:
    """Mix the positions; also return how much each drew from which.

    Vaswani et al. 2017, section 3.2.2: queries, keys and values are three linear maps of the same
    vectors, cut into heads; each head attends by itself, and a fourth map joins the heads.
    """
    xp = array_namespace(x_LD)
    L, D = x_LD.shape
    H, K = config.num_heads, config.head_width
    q_HLK, k_HMK, v_HMK = (
        xp.permute_dims(xp.reshape(linear(x_LD, w, f"attention.{name}"), (L, H, K)), (1, 0, 2))
        for name in ("query", "key", "value")
    )
    if config.positions == "rotary":
        frequencies = config.rotary_frequencies(layer)
        q_HLK, k_HMK = rotate(q_HLK, frequencies), rotate(k_HMK, frequencies)
    bias_HLM = None
    if relative_bias is not None:
        bias_HLM = bias_by_distance(relative_bias, L, config)
    mixed_HLK, prob_HLM = scaled_dot_product(
        q_HLK, k_HMK, v_HMK, bias_HLM, window=config.window(layer)
    )
    mixed_LD = xp.reshape(xp.permute_dims(mixed_HLK, (1, 0, 2)), (L, D))
    return linear(mixed_LD, w, "attention.output"), prob_HLM


def scaled_dot_product(
    q_HLK: Float[Array, "H L K"],
    k_HMK: Float[Array, "H M K"],
    v_HMK: Float[Array, "H M K"],
    bias_HLM: Float[Array, "H L M"] | None = None,
    *,
    window: int | None = None,
) -> tuple[Float[Array, "H L K"], Float[Array, "H L M"]]:
    """softmax(q kᵀ / √K + bias) v, and those probabilities (Vaswani et al. 2017, eq. 1).

    With a `window`, a position sees only those at most that far away (Beltagy et al. 2020,
    section 3.1): the scores of the others are minus infinity, their probabilities exactly 0.
    """
    xp = array_namespace(q_HLK)
    score_HLM = q_HLK @ xp.permute_dims(k_HMK, (0, 2, 1)) / math.sqrt(q_HLK.shape[-1])
    if bias_HLM is not None:
        score_HLM = score_HLM + bias_HLM
    if window is not None:
        distance_LM = distances(score_HLM.shape[1], score_HLM.shape[2], like=score_HLM)
        score_HLM = xp.where(xp.abs(distance_LM) <= window, score_HLM, -math.inf)
    prob_HLM = softmax(score_HLM)
    return prob_HLM @ v_HMK, prob_HLM


def softmax(score: Float[Array, "H L M"]) -> Float[Array, "H L M"]:
    """exp(score) / Σ exp(score) over the keys; the largest is taken off first, against overflow."""
    xp = array_namespace(score)
    weight = xp.exp(score - xp.max(score, axis=-1, keepdims=True))
    return weight / xp.sum(weight, axis=-1, keepdims=True)


def rotate(x_HLK: Float[Array, "H L K"], frequencies: Sequence[float]) -> Float[Array, "H L K"]:
    """Turn each pair of numbers by an angle that grows with the position (Su et al. 2021, eq. 34).

    Pair i is (x[i], x[i + K/2]) and turns by p · frequencies[i] at position p, so a query and a key
    meet at an angle that depends on their distance alone. The frequencies are base^(-2i/K).
    """
    xp = array_namespace(x_HLK)
    L, K = x_HLK.shape[1:]
    kind: dict[str, Any] = {"dtype": x_HLK.dtype, "device": device(x_HLK)}
    angle_LP = xp.arange(L, **kind)[:, None] * xp.asarray(frequencies, **kind)
    cos_LP, sin_LP = xp.cos(angle_LP), xp.sin(angle_LP)
    a_HLP, b_HLP = x_HLK[..., : K // 2], x_HLK[..., K // 2 :]
    return xp.concat((a_HLP * cos_LP - b_HLP * sin_LP, b_HLP * cos_LP + a_HLP * sin_LP), axis=-1)


def bias_by_distance(
    bias_by_bucket: Float[Array, "buckets H"], num_positions: int, config: EncoderConfig
) -> Float[Array, "H L L"]:
    """One learned number per head and bucket of distance, added to the scores.

    Raffel et al. 2020, section 2.1: with n buckets for each direction, distances below n/2 have one
    each; those up to `relative_max_distance` share the rest on a logarithmic scale; all beyond
    share the last. Keys after the query use the second half of the buckets.
    """
    xp = array_namespace(bias_by_bucket)
    L, H = num_positions, bias_by_bucket.shape[1]
    n = config.relative_buckets // 2
    exact = n // 2
    distance_LM = distances(L, L, like=bias_by_bucket)
    far_LM = xp.clip(xp.abs(distance_LM), exact, None)
    # The small number keeps whole steps of the scale whole when logarithms are rounded.
    step_LM = xp.log(far_LM / exact) / math.log(config.relative_max_distance / exact) * (n - exact)
    coarse_LM = xp.clip(exact + xp.floor(step_LM + 1e-4), None, n - 1)
    bucket_LM = xp.where(xp.abs(distance_LM) < exact, xp.abs(distance_LM), coarse_LM)
    bucket_LM = xp.where(distance_LM > 0, bucket_LM + n, bucket_LM)
    rows = xp.take(bias_by_bucket, xp.reshape(xp.astype(bucket_LM, xp.int64), (-1,)), axis=0)
    return xp.permute_dims(xp.reshape(rows, (L, L, H)), (2, 0, 1))


def distances(num_queries: int, num_keys: int, *, like: Array) -> Float[Array, "L M"]:
    """Position of the key minus position of the query."""
    xp = array_namespace(like)
    kind: dict[str, Any] = {"dtype": like.dtype, "device": device(like)}
    return xp.arange(num_keys, **kind)[None, :] - xp.arange(num_queries, **kind)[:, None]

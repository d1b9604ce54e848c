"""Self-attention: each position compares its query with all keys, and averages values accordingly.

L positions as queries, M the same positions as keys; D model width; H heads of queries, G of keys
and values, K head width.
"""

import math
from typing import assert_never

from array_api_compat import array_namespace, device
from jaxtyping import Float

from bothways.model.config import AttentionDirection, EncoderConfig
from bothways.reference.disentangled import disentangled_bias
from bothways.reference.layers import Array, Arrays, by_head, linear, normalize
from bothways.reference.positions import NO_POSITIONS, AttentionPositions, distances


def self_attention(
    x_LD: Float[Array, "L D"],
    w: Arrays,
    config: EncoderConfig,
    layer: int,
    positions: AttentionPositions = NO_POSITIONS,
) -> tuple[Float[Array, "L D"], Float[Array, "H L L"]]:
    """Mix the positions; also return the attention probabilities.

    Vaswani et al. 2017, section 3.2.2: queries, keys and values are three linear maps of the same
    vectors, split into heads; each head attends by itself, and a fourth map joins the heads.
    H / G adjacent heads of queries share a head of keys and values (Ainslie et al. 2023).
    """
    xp = array_namespace(x_LD)
    H, G = config.num_heads, config.key_value_heads
    q_HLK = split_heads(linear(x_LD, w, "attention.query"), H, w, "attention.query_norm", config)
    k_GMK = split_heads(linear(x_LD, w, "attention.key"), G, w, "attention.key_norm", config)
    v_GMK = by_head(linear(x_LD, w, "attention.value"), G)
    group_H = xp.arange(H, device=device(x_LD)) // (H // G)
    bias_HLM = positions.score_bias
    if positions.distances is not None:
        by_content_HLM = disentangled_bias(q_HLK, k_GMK, positions.distances, w, config)
        bias_HLM = by_content_HLM if bias_HLM is None else bias_HLM + by_content_HLM
    mixed_HLK, prob_HLM = scaled_dot_product(
        positions.rotate(q_HLK),
        xp.take(positions.rotate(k_GMK), group_H, axis=0),
        xp.take(v_GMK, group_H, axis=0),
        bias_HLM,
        scale=config.score_scale,
        window=config.window(layer),
        attention_direction=config.attention_direction,
    )
    mixed_LQ = xp.reshape(xp.permute_dims(mixed_HLK, (1, 0, 2)), (x_LD.shape[0], -1))
    return linear(mixed_LQ, w, "attention.output"), prob_HLM


def split_heads(
    x_LQ: Float[Array, "L Q"], num_heads: int, w: Arrays, norm: str, config: EncoderConfig
) -> Float[Array, "heads L K"]:
    """Queries or keys by head, with the norm called `norm` if the encoder has one.

    Henry et al. 2020 normalize each head, so that scores cannot grow; ESM-C all heads together.
    """
    match config.query_key_norm:
        case "none":
            return by_head(x_LQ, num_heads)
        case "head":
            return normalize(by_head(x_LQ, num_heads), w, norm, config)
        case "all_heads":
            return by_head(normalize(x_LQ, w, norm, config), num_heads)
        case unknown:
            assert_never(unknown)


def scaled_dot_product(
    q_HLK: Float[Array, "H L K"],
    k_HMK: Float[Array, "H M K"],
    v_HMK: Float[Array, "H M K"],
    bias_HLM: Float[Array, "H L M"] | None = None,
    *,
    scale: float | None = None,
    window: int | None = None,
    attention_direction: AttentionDirection = "both",
) -> tuple[Float[Array, "H L K"], Float[Array, "H L M"]]:
    """softmax(q kᵀ / √K + bias) v, and those probabilities (Vaswani et al. 2017, eq. 1).

    scale: what replaces 1 / √K. With a `window`, a position sees only positions at most that far
    away (Beltagy et al. 2020, section 3.1); in causal attention, only itself and those before it
    (Vaswani et al. 2017, section 3.2.3). The scores of the others are minus infinity, their
    probabilities exactly 0.
    """
    xp = array_namespace(q_HLK)
    if scale is None:
        scale = 1 / math.sqrt(q_HLK.shape[-1])
    score_HLM = q_HLK @ xp.permute_dims(k_HMK, (0, 2, 1)) * scale
    if bias_HLM is not None:
        score_HLM = score_HLM + bias_HLM
    distance_LM = distances(score_HLM.shape[1], score_HLM.shape[2], like=score_HLM)
    if window is not None:
        score_HLM = xp.where(xp.abs(distance_LM) <= window, score_HLM, -math.inf)
    match attention_direction:
        case "both":
            pass
        case "causal":
            score_HLM = xp.where(distance_LM <= 0, score_HLM, -math.inf)
        case unknown:
            assert_never(unknown)
    prob_HLM = softmax(score_HLM)
    return prob_HLM @ v_HMK, prob_HLM


def softmax(score: Float[Array, "H L M"]) -> Float[Array, "H L M"]:
    """exp(score) / Σ exp(score) over the keys, less the maximum first, against overflow."""
    xp = array_namespace(score)
    weight = xp.exp(score - xp.max(score, axis=-1, keepdims=True))
    return weight / xp.sum(weight, axis=-1, keepdims=True)

"""Self-attention: each position compares its query with all keys, and averages values accordingly.

L positions as queries, M the same positions as keys; D model width, H heads, K = D / H head width.
"""

import math

from array_api_compat import array_namespace
from jaxtyping import Float

from bothways.model.config import EncoderConfig
from bothways.reference.layers import Array, Arrays, linear
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
    """
    xp = array_namespace(x_LD)
    L, D = x_LD.shape
    H, K = config.num_heads, config.head_width
    q_HLK, k_HMK, v_HMK = (
        xp.permute_dims(xp.reshape(linear(x_LD, w, f"attention.{name}"), (L, H, K)), (1, 0, 2))
        for name in ("query", "key", "value")
    )
    mixed_HLK, prob_HLM = scaled_dot_product(
        positions.rotate(q_HLK),
        positions.rotate(k_HMK),
        v_HMK,
        positions.score_bias,
        window=config.window(layer),
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

    With a `window`, a position sees only positions at most that far away (Beltagy et al. 2020,
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
    """exp(score) / Σ exp(score) over the keys, less the maximum first, against overflow."""
    xp = array_namespace(score)
    weight = xp.exp(score - xp.max(score, axis=-1, keepdims=True))
    return weight / xp.sum(weight, axis=-1, keepdims=True)

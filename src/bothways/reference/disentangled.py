"""Disentangled attention: scores that depend on contents and on distances, each with the other.

L positions as queries, M the same positions as keys; R rows of the table of distances; D model
width; H heads of queries, G of keys, K head width.
"""

from typing import NamedTuple

from array_api_compat import array_namespace, device
from jaxtyping import Float, Int

from bothways.model.config import EncoderConfig
from bothways.model.disentangled import relative_rows
from bothways.reference.layers import Array, Arrays, by_head, linear, normalize


class DistanceTable(NamedTuple):
    """The vectors of distances, (R, D), and the row of each query and key, (L, M)."""

    vectors: Array
    rows: Array


def distance_table(weights: Arrays, config: EncoderConfig, num_positions: int) -> DistanceTable:
    """The table that all layers share, for a sequence of `num_positions`."""
    vectors_RD = weights["relative_embedding.weight"]
    if config.relative_embedding_norm:
        vectors_RD = normalize(vectors_RD, weights, "relative_norm", config)
    xp, where = array_namespace(vectors_RD), device(vectors_RD)
    position_L = xp.arange(num_positions, device=where)
    distance_LM = position_L[None, :] - position_L[:, None] + num_positions - 1
    row_of_distance = xp.asarray(relative_rows(config, num_positions), device=where)
    rows = xp.take(row_of_distance, xp.reshape(distance_LM, (-1,)), axis=0)
    return DistanceTable(vectors_RD, xp.reshape(rows, distance_LM.shape))


def disentangled_bias(
    q_HLK: Float[Array, "H L K"],
    k_GMK: Float[Array, "G M K"],
    distances: DistanceTable,
    w: Arrays,
    config: EncoderConfig,
) -> Float[Array, "H L M"]:
    """What distances add to the scores: the second and third term of He et al. 2021, eq. 4.

    Qc_i · Kr_δ(i,j) + Kc_j · Qr_δ(i,j), scaled as the product of contents is; Kr and Qr are
    projections of the table by maps of their own, or by those of keys and queries.
    """
    xp = array_namespace(q_HLK)
    H, G = config.num_heads, config.key_value_heads
    group_H = xp.arange(H, device=device(q_HLK)) // (H // G)
    vectors_RD, row_LM = distances.vectors, distances.rows
    shared = config.shared_position_projections
    bias_HLM = 0 * q_HLK[:, :, :1]
    if config.content_to_position:
        key = linear(vectors_RD, w, "attention.key" if shared else "attention.position_key")
        key_HRK = xp.take(by_head(key, G), group_H, axis=0)
        bias_HLM = bias_HLM + select(q_HLK @ xp.permute_dims(key_HRK, (0, 2, 1)), row_LM)
    if config.position_to_content:
        query = linear(vectors_RD, w, "attention.query" if shared else "attention.position_query")
        k_HMK = xp.take(k_GMK, group_H, axis=0)
        score_HMR = k_HMK @ xp.permute_dims(by_head(query, H), (0, 2, 1))
        selected_HML = select(score_HMR, xp.permute_dims(row_LM, (1, 0)))
        bias_HLM = bias_HLM + xp.permute_dims(selected_HML, (0, 2, 1))
    return bias_HLM * config.score_scale


def select(score_HLR: Float[Array, "H L R"], row_LM: Int[Array, "L M"]) -> Float[Array, "H L M"]:
    """For each position of the first kind and of the second, the score of their distance's row."""
    xp = array_namespace(score_HLR)
    H, L, R = score_HLR.shape
    start_L1 = R * xp.arange(L, device=device(score_HLR))[:, None]
    index = xp.reshape(start_L1 + row_LM, (-1,))
    return xp.reshape(xp.take(xp.reshape(score_HLR, (H, L * R)), index, axis=1), (H, L, -1))

"""Disentangled attention on a packed batch: `reference.disentangled` has the formulas.

B sequences of one length; L of their positions as queries, M as keys; N rows of the table of
distances; R = 2 · longest - 1 distances; D model width; H heads of queries, G of keys, K head
width.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bothways.model.config import EncoderConfig
from bothways.model.disentangled import relative_rows

__all__ = ["DistanceScores", "PackedDistanceTable", "distance_table"]


class PackedDistanceTable(NamedTuple):
    """The vectors of distances, (N, D), and the row of each distance, R of them, int64 (R,)."""

    vectors: Tensor
    rows: tuple[int, ...]
    row_of_distance: Tensor


def distance_table(
    vectors_ND: Float[Tensor, "N D"], longest: int, config: EncoderConfig
) -> PackedDistanceTable:
    """The table that all layers share, for sequences of at most `longest` positions."""
    rows = relative_rows(config, longest)
    return PackedDistanceTable(vectors_ND, rows, torch.tensor(rows, device=vectors_ND.device))


class DistanceScores(NamedTuple):
    """What distances add to the scores of one layer, given its queries and keys.

    keys (N, G, K), queries (N, H, K): the projections of the table that queries and keys are
        multiplied with, or None; their scale makes the products, divided by √K, those of the
        config.
    rows, row_of_distance: the row of each distance, from 1 - longest to longest - 1.
    """

    keys: Tensor | None
    queries: Tensor | None
    rows: tuple[int, ...]
    row_of_distance: Int[Tensor, "R"]

    def bias(
        self,
        q_BHLK: Float[Tensor, "B H L K"],
        k_BGMK: Float[Tensor, "B G M K"],
        first_query: int,
        first_key: int,
    ) -> Float[Tensor, "B H L M"]:
        """The sum to add to the scores of queries and keys, whose positions follow each other."""
        (B, H, L, K), (_, G, M, _) = q_BHLK.shape, k_BGMK.shape
        longest = (len(self.row_of_distance) + 1) // 2
        nearest = first_key - (first_query + L - 1) + longest - 1
        farthest = first_key + M - 1 - first_query + longest - 1
        # Only the rows of these distances: they fall as the distance grows.
        first_row, end_row = self.rows[farthest], self.rows[nearest] + 1
        # Row i of `unfold` starts at distance `nearest + i`, which belongs to query L - 1 - i.
        row_LM = self.row_of_distance[nearest : farthest + 1].unfold(0, M, 1).flip(0) - first_row
        bias_BHLM: Tensor = q_BHLK.new_zeros(())
        if self.keys is not None:
            key_GKN = self.keys[first_row:end_row].permute(1, 2, 0)
            q_BGQK = q_BHLK.reshape(B, G, H // G * L, K)
            score_BHLN = (q_BGQK @ key_GKN).view(B, H, L, -1)
            bias_BHLM = bias_BHLM + score_BHLN.gather(-1, row_LM.expand(B, H, L, M))
        if self.queries is not None:
            query_HKN = self.queries[first_row:end_row].permute(1, 2, 0)
            k_BHMK = k_BGMK.repeat_interleave(H // G, 1) if G < H else k_BGMK
            score_BHMN = k_BHMK @ query_HKN
            row_ML = row_LM.T.expand(B, H, M, L)
            bias_BHLM = bias_BHLM + score_BHMN.gather(-1, row_ML).transpose(-1, -2)
        return bias_BHLM / math.sqrt(K)

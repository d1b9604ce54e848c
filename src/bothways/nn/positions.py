"""Positions: what is added to the embeddings, and what attention does with distance.

T tokens of all sequences end to end; L positions of the longest; E embedding width; H heads, K head
width, P = K / 2 pairs of its numbers; R = 2 · longest - 1 distances.
"""

import math
from typing import NamedTuple, TypeVar, assert_never

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn
from torch.nn import functional

from bothways.model.alibi import alibi_slopes
from bothways.model.config import EncoderConfig
from bothways.model.layout import layout
from bothways.model.rotary import Rotation
from bothways.nn.disentangled import PackedDistanceTable, distance_table
from bothways.nn.lengths import Lengths

__all__ = [
    "NO_POSITIONS",
    "PackedAttentionPositions",
    "add_positions",
    "attention_positions",
    "bias_by_distance",
    "linear_bias",
    "make_table",
    "position_rows",
    "rotate",
    "sinusoids",
]

T = TypeVar("T")


def make_table(config: EncoderConfig, name: str) -> nn.Embedding | None:
    """The learned table `{name}.weight` of the layout; None if the config has no such table."""
    shape = layout(config).get(f"{name}.weight")
    if shape is None:
        return None
    rows, width = shape
    return nn.Embedding(rows, width)


def add_positions(
    x_TE: Float[Tensor, "T E"],
    values: Num[Tensor, "T *C"],
    lengths: Lengths,
    config: EncoderConfig,
    table: nn.Embedding | None,
) -> Float[Tensor, "T E"]:
    """Add to each embedding a vector for its position, from the `table` if these are learned.

    values: the token ids (T,) or vectors (T, C).
    """
    match config.position_embedding:
        case "learned":
            row_T = position_rows(values, lengths, config)
            return x_TE + functional.embedding(row_T, _given(table).weight)
        case "sinusoidal":
            table_LE = sinusoids(lengths.longest, config.embedding_width, lengths.device)
            return x_TE + table_LE.to(x_TE.dtype)[lengths.position_T]
        case "none":
            return x_TE
        case unknown:
            assert_never(unknown)


def position_rows(
    values: Num[Tensor, "T *C"], lengths: Lengths, config: EncoderConfig
) -> Int[Tensor, "T"]:
    """Row of the position table for each token: `reference.positions.position_rows`."""
    if config.position_padding_token is None:
        return lengths.position_T + config.position_offset
    counted_T = (values != config.position_padding_token).long()
    total_T = torch.cumsum(counted_T, 0)
    before_T = (total_T - counted_T)[lengths.first_T]  # in earlier sequences of the batch
    return config.position_offset - 1 + counted_T * (total_T - before_T)


class PackedAttentionPositions(NamedTuple):
    """What attention in one layer does with the positions of a batch.

    rotation: how queries and keys are rotated; None for no rotation.
    score_bias: what is added to the scores at each distance, (H, R); None for nothing.
    distances: the table of disentangled attention; None for attention without.
    """

    rotation: Rotation | None = None
    score_bias: Tensor | None = None
    distances: PackedDistanceTable | None = None

    def rotate(self, x_THK: Tensor, lengths: Lengths) -> Tensor:
        """Queries or keys, rotated by position if this layer does so."""
        return x_THK if self.rotation is None else rotate(x_THK, lengths, self.rotation)


NO_POSITIONS = PackedAttentionPositions()
"""Attention that ignores the order of its inputs."""


def attention_positions(
    config: EncoderConfig,
    lengths: Lengths,
    relative_bias: nn.Embedding | None,
    distance_vectors: Tensor | None = None,
) -> list[PackedAttentionPositions]:
    """How attention in each layer uses the positions of a batch.

    relative_bias: the table of `relative`. distance_vectors: that of `disentangled`, normalized.
    """
    layers = range(config.num_layers)
    match config.attention_positions:
        case "rotary":
            return [PackedAttentionPositions(config.rotation(layer)) for layer in layers]
        case "relative":
            bias_HR = bias_by_distance(_given(relative_bias).weight, lengths.longest, config)
            return [PackedAttentionPositions(score_bias=bias_HR) for _ in layers]
        case "alibi":
            linear_HR = linear_bias(config.num_heads, lengths)
            return [PackedAttentionPositions(score_bias=linear_HR) for _ in layers]
        case "disentangled":
            table = distance_table(_given(distance_vectors), lengths.longest, config)
            return [PackedAttentionPositions(distances=table) for _ in layers]
        case "none":
            return [NO_POSITIONS for _ in layers]
        case unknown:
            assert_never(unknown)


def sinusoids(num_positions: int, width: int, device: torch.device) -> Float[Tensor, "L E"]:
    """Fixed vectors of positions, in float64; `reference.sinusoids` has formula and source."""
    position_L1 = torch.arange(num_positions, dtype=torch.float64, device=device)[:, None]
    dimension_E = torch.arange(width, dtype=torch.float64, device=device)
    even_E = dimension_E - dimension_E % 2
    angle_LE = position_L1 / 10_000.0 ** (even_E / width)
    return torch.where(dimension_E % 2 == 0, torch.sin(angle_LE), torch.cos(angle_LE))


def rotate(
    x_THK: Float[Tensor, "T H K"], lengths: Lengths, rotation: Rotation
) -> Float[Tensor, "T H K"]:
    """Rotate each pair of numbers by an angle proportional to the position: `reference.rotate`."""
    dtype = torch.promote_types(x_THK.dtype, torch.float32)
    cos_T1P, sin_T1P = lengths.rotary(rotation, dtype)
    a_THP, b_THP = x_THK.chunk(2, -1)
    rotated = (a_THP * cos_T1P - b_THP * sin_T1P, b_THP * cos_T1P + a_THP * sin_T1P)
    return torch.cat(rotated, -1).to(x_THK.dtype)


def bias_by_distance(
    bias_by_bucket: Float[Tensor, "buckets H"], longest: int, config: EncoderConfig
) -> Float[Tensor, "H R"]:
    """A learned number per head and distance, from 1 - longest to longest - 1.

    The distance is the key's position minus the query's; `reference.bias_by_distance` has the
    buckets (Raffel et al. 2020, section 2.1).
    """
    n = config.relative_buckets // 2
    exact = n // 2
    distance_R = torch.arange(1 - longest, longest, device=bias_by_bucket.device)
    far_R = distance_R.abs().clamp(min=exact).double()
    step_R = torch.log(far_R / exact) / math.log(config.relative_max_distance / exact) * (n - exact)
    coarse_R = (exact + torch.floor(step_R + 1e-4).long()).clamp(max=n - 1)
    bucket_R = torch.where(distance_R.abs() < exact, distance_R.abs(), coarse_R)
    bucket_R = torch.where(distance_R > 0, bucket_R + n, bucket_R)
    return functional.embedding(bucket_R, bias_by_bucket).T


def linear_bias(num_heads: int, lengths: Lengths) -> Float[Tensor, "H R"]:
    """Minus the distance times the slope of each head: `reference.positions.linear_bias`.

    Distances are those of `bias_by_distance`.
    """
    device = lengths.device
    distance_R = torch.arange(1 - lengths.longest, lengths.longest, device=device).abs()
    slope_H1 = torch.tensor(alibi_slopes(num_heads), device=device)[:, None]
    return -slope_H1 * distance_R


def _given(table: T | None) -> T:
    if table is None:
        raise ValueError("the config has a table of positions, and none was given")
    return table

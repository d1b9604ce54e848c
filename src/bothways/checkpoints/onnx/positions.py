"""Positions: what is added to the embeddings, and what attention does with distance."""

import math
from typing import assert_never

import numpy as np

from bothways.checkpoints.onnx.disentangled import GraphDistanceScores
from bothways.checkpoints.onnx.graph import Graph, Value
from bothways.checkpoints.onnx.inputs import Inputs
from bothways.model.alibi import alibi_slopes
from bothways.model.config import EncoderConfig
from bothways.model.rotary import Rotation
from bothways.model.weights import Weights

__all__ = ["GraphAttentionPositions", "add_positions"]


def add_positions(
    graph: Graph, x: Value, inputs: Inputs, w: Weights, config: EncoderConfig
) -> Value:
    """Add to each embedding a vector for its position, (B, L, E)."""
    match config.position_embedding:
        case "learned":
            table = graph.weight("embedding.position.weight", w["embedding.position.weight"])
            if config.position_padding_token is not None:
                rows = _rows_without_padding(graph, inputs, config, config.position_padding_token)
                return graph.op("Add", x, graph.op("Gather", table, rows))
            rows = graph.first(table, inputs.length, start=config.position_offset)
            return graph.op("Add", x, rows)
        case "sinusoidal":
            table = graph.weight("embedding.sinusoids", _sinusoids(config))
            return graph.op("Add", x, graph.first(table, inputs.length))
        case "none":
            return x
        case unknown:
            assert_never(unknown)


def _rows_without_padding(
    graph: Graph, inputs: Inputs, config: EncoderConfig, padding: int
) -> Value:
    """Row of the position table for each token, int64 (B, L), where padding is not counted."""
    is_padding = graph.op("Equal", inputs.values, graph.constant(padding, np.int64))
    counted = graph.cast(graph.op("Not", is_padding), np.int64)
    total = graph.op("CumSum", counted, graph.constant(1, np.int64))
    before = graph.constant(config.position_offset - 1, np.int64)
    return graph.op("Add", graph.op("Mul", counted, total), before)


class GraphAttentionPositions:
    """What attention does with positions: tables that all layers share.

    bias: added to the scores, (H, L, L); None for nothing.
    distance_scores: what disentangled attention adds to them; None for attention without.
    """

    def __init__(
        self, graph: Graph, inputs: Inputs, weights: Weights, config: EncoderConfig
    ) -> None:
        self._graph = graph
        self._inputs = inputs
        self._config = config
        self._rotary_tables: dict[Rotation, tuple[Value, Value]] = {}
        self._distances: Value | None = None
        self.bias: Value | None = None
        self.distance_scores: GraphDistanceScores | None = None
        self._is_rotary = False
        match config.attention_positions:
            case "rotary":
                self._is_rotary = True
            case "relative":
                self.bias = self._bias_by_distance(weights["relative_bias.weight"])
            case "alibi":
                self.bias = self._linear_bias(config.num_heads)
            case "disentangled":
                self.distance_scores = GraphDistanceScores(
                    graph, inputs, weights, config, self.distances()
                )
            case "none":
                pass
            case unknown:
                assert_never(unknown)

    def distances(self) -> Value:
        """Position of the key minus position of the query, int64 (L, L)."""
        graph = self._graph
        if self._distances is None:
            table = graph.weight("positions", np.arange(self._config.max_length))
            place = graph.first(table, self._inputs.length)
            self._distances = graph.op("Sub", graph.expand(place, 0), graph.expand(place, 1))
        return self._distances

    def rotate(self, x: Value, layer: int) -> Value:
        """Queries or keys, (B, H, L, K), rotated by position if the encoder does so.

        Pair i, (x[i], x[i + K/2]), is rotated by position · frequency (Su et al. 2021, eq. 34).
        """
        if not self._is_rotary:
            return x
        graph = self._graph
        cos, sin = self._cos_and_sin(self._config.rotation(layer))
        half = self._config.head_width // 2
        axis = graph.constant([-1], np.int64)
        a, b = (
            graph.op(
                "Slice",
                x,
                graph.constant([start], np.int64),
                graph.constant([start + half], np.int64),
                axis,
            )
            for start in (0, half)
        )
        rotated = (
            graph.op("Sub", graph.op("Mul", a, cos), graph.op("Mul", b, sin)),
            graph.op("Add", graph.op("Mul", b, cos), graph.op("Mul", a, sin)),
        )
        return graph.op("Concat", *rotated, attributes={"axis": -1})

    def _cos_and_sin(self, rotation: Rotation) -> tuple[Value, Value]:
        """Cosine and sine of each position's angles, (L, K/2), times the magnitude."""
        if rotation not in self._rotary_tables:
            graph, number = self._graph, len(self._rotary_tables)
            angle = np.arange(self._config.max_length)[:, None] * np.array(rotation.frequencies)
            tables = {
                name: rotation.magnitude * f(angle)
                for name, f in (("cos", np.cos), ("sin", np.sin))
            }
            cos, sin = (
                graph.first(
                    graph.weight(f"rotary.{number}.{name}", table.astype(np.float32)),
                    self._inputs.length,
                )
                for name, table in tables.items()
            )
            self._rotary_tables[rotation] = cos, sin
        return self._rotary_tables[rotation]

    def _bias_by_distance(self, bias_by_bucket: np.ndarray) -> Value:
        graph, farthest = self._graph, self._config.max_length - 1
        buckets = _buckets(np.arange(-farthest, farthest + 1), self._config)
        table = graph.weight("relative_bias", bias_by_bucket[buckets])
        index = graph.op("Add", self.distances(), graph.constant(farthest, np.int64))
        return graph.transpose(graph.op("Gather", table, index), 2, 0, 1)

    def _linear_bias(self, num_heads: int) -> Value:
        """Minus the distance times the slope of each head (Press et al. 2022, section 3)."""
        graph = self._graph
        slopes = np.array(alibi_slopes(num_heads))[:, None, None]
        distance = graph.cast(graph.op("Abs", self.distances()), np.float32)
        return graph.op("Mul", distance, graph.constant(-slopes))


def _sinusoids(config: EncoderConfig) -> np.ndarray:
    """One vector per position, float32 (max_length, E); `reference.sinusoids` has the formula."""
    width = config.embedding_width
    dimension_E = np.arange(width)
    even_E = dimension_E - dimension_E % 2
    angle_LE = np.arange(config.max_length)[:, None] / 10_000.0 ** (even_E / width)
    table_LE: np.ndarray = np.where(dimension_E % 2 == 0, np.sin(angle_LE), np.cos(angle_LE))
    return table_LE.astype(np.float32)


def _buckets(distance: np.ndarray, config: EncoderConfig) -> np.ndarray:
    """The bucket of each distance, key minus query (Raffel et al. 2020, section 2.1)."""
    n = config.relative_buckets // 2
    exact = n // 2
    far = np.maximum(np.abs(distance), exact)
    scale = math.log(config.relative_max_distance / exact)
    # 1e-4 keeps a whole number whole after rounding in the logarithms.
    coarse = exact + np.floor(np.log(far / exact) / scale * (n - exact) + 1e-4).astype(np.int64)
    near = np.abs(distance) < exact
    within = np.where(near, np.abs(distance), np.minimum(coarse, n - 1))
    bucket: np.ndarray = within + n * (distance > 0)
    return bucket

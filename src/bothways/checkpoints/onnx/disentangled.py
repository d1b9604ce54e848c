"""Disentangled attention: `reference.disentangled` has the formulas.

B sequences of L positions; N rows of the table of distances; H heads of queries, G of keys, K head
width. Where heads share keys, (H / G, G) stand for H as in `attention`.
"""

import numpy as np

from bothways.checkpoints.onnx.graph import Graph, Value
from bothways.checkpoints.onnx.inputs import Inputs
from bothways.model.config import EncoderConfig
from bothways.model.disentangled import relative_rows
from bothways.model.weights import Weights
from bothways.reference.layers import linear, normalize, under

__all__ = ["GraphDistanceScores"]


class GraphDistanceScores:
    """What distances add to the scores, with the table that all layers share.

    Projections of the table are computed here, because they depend on weights alone.
    """

    def __init__(
        self,
        graph: Graph,
        inputs: Inputs,
        weights: Weights,
        config: EncoderConfig,
        distances: Value,
    ) -> None:
        self._graph = graph
        self._weights = weights
        self._config = config
        self._vectors = weights["relative_embedding.weight"]
        if config.relative_embedding_norm:
            self._vectors = normalize(self._vectors, weights, "relative_norm", config)
        farthest = graph.constant(config.max_length - 1, np.int64)
        table = graph.weight(
            "distance_rows", np.array(relative_rows(config, config.max_length), np.int64)
        )
        rows = graph.op("Gather", table, graph.op("Add", distances, farthest))
        place = graph.first(graph.weight("positions", np.arange(config.max_length)), inputs.length)
        count = graph.constant(config.relative_buckets, np.int64)
        # Of the scores of a query and all rows, and of a row and all keys, end to end.
        self._of_query = graph.op("Add", graph.op("Mul", graph.expand(place, 1), count), rows)
        self._of_key = graph.op("Add", graph.op("Mul", rows, inputs.length), graph.expand(place, 0))

    def add(self, score: Value, query: Value, key: Value, name: str) -> Value:
        """Add them to the scores of a layer with the weights under `name`.

        query: scaled, (B, H, L, K). key: (B, H, K, L).
        """
        config = self._config
        own = not config.shared_position_projections
        if config.content_to_position:
            keys = self._projection(name, "position_key" if own else "key", config.key_value_heads)
            score = self._add(score, query, self._transposed(keys), self._of_query)
        if config.position_to_content:
            queries = self._projection(name, "position_query" if own else "query", config.num_heads)
            scale = self._graph.constant(config.score_scale)
            scaled = self._graph.op("Mul", self._graph.weight(*queries), scale)
            score = self._add(score, scaled, key, self._of_key)
        return score

    def _add(self, score: Value, a: Value, b: Value, index: Value) -> Value:
        graph = self._graph
        product = graph.op("MatMul", a, b)
        shared = self._config.key_value_heads < self._config.num_heads
        flat = graph.reshape(product, *([0, 0, 0, -1] if shared else [0, 0, -1]))
        return graph.op("Add", score, graph.op("Gather", flat, index, attributes={"axis": -1}))

    def _projection(self, name: str, part: str, heads: int) -> tuple[str, np.ndarray]:
        """A name, and the table projected for each head, (heads, N, K), (G, H / G, N, K)."""
        config, w = self._config, under(name, self._weights)
        projected = np.asarray(linear(self._vectors, w, part), np.float32)
        N, K, groups = len(projected), config.head_width, config.key_value_heads
        by_head: np.ndarray = projected.reshape(N, heads, K).swapaxes(0, 1)
        if groups < config.num_heads:
            by_head = by_head.reshape(groups, heads // groups, N, K)
        return f"{name}.{part}.of_distances", by_head

    def _transposed(self, named: tuple[str, np.ndarray]) -> Value:
        name, array = named
        return self._graph.weight(name, array.swapaxes(-1, -2))

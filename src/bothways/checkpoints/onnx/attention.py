"""Self-attention over a padded batch: no position sees padding, nor beyond its window."""

import math

import numpy as np

from bothways.checkpoints.onnx.graph import Graph, Value
from bothways.checkpoints.onnx.inputs import Inputs
from bothways.checkpoints.onnx.layers import linear
from bothways.model.config import EncoderConfig
from bothways.model.weights import Weights

__all__ = ["Attention"]

_LOWEST = float(np.finfo(np.float32).min)
"""The score of a position that is not seen. Finite, so that the rows of padding, which may see
nothing at all, come out as numbers; others give it a probability of exactly 0."""


class Attention:
    """The attention of all layers, and what they share: masks, angles and biases by distance."""

    def __init__(
        self, graph: Graph, inputs: Inputs, weights: Weights, config: EncoderConfig
    ) -> None:
        self._graph = graph
        self._inputs = inputs
        self._config = config
        self._seen: dict[int | None, Value] = {}
        self._angles: dict[tuple[float, ...], tuple[Value, Value]] = {}
        self._distance: Value | None = None
        self._bias = None
        if config.positions == "relative":
            self._bias = self._bias_by_distance(weights["relative_bias.weight"])

    def layer(self, x: Value, w: Weights, name: str, layer: int) -> Value:
        """Mix the positions, (B, L, D); the weights are those under `name`."""
        graph, config = self._graph, self._config
        H, K = config.num_heads, config.head_width
        query, key, value = (
            graph.transpose(
                graph.reshape(linear(graph, x, w, f"{name}.{part}"), 0, 0, H, K), 0, 2, 1, 3
            )
            for part in ("query", "key", "value")
        )
        if config.positions == "rotary":
            query, key = self._rotate(query, layer), self._rotate(key, layer)
        scaled = graph.op("Mul", query, graph.constant(1 / math.sqrt(K)))
        score = graph.op("MatMul", scaled, graph.transpose(key, 0, 1, 3, 2))
        if self._bias is not None:
            score = graph.op("Add", score, self._bias)
        seen = self._seen_in(config.window(layer))
        score = graph.op("Where", seen, score, graph.constant(_LOWEST))
        probability = graph.op("Softmax", score, attributes={"axis": -1})
        mixed = graph.transpose(graph.op("MatMul", probability, value), 0, 2, 1, 3)
        return linear(graph, graph.reshape(mixed, 0, 0, H * K), w, f"{name}.output")

    def _seen_in(self, window: int | None) -> Value:
        """Whether a query sees a key, bool (B, 1, L or 1, L)."""
        graph = self._graph
        if window not in self._seen:
            seen = graph.expand(graph.cast(self._inputs.mask, np.bool_), 1, 2)
            if window is not None:
                distance = graph.op("Abs", self._distances())
                near = graph.op("LessOrEqual", distance, graph.constant(window, np.int64))
                seen = graph.op("And", seen, near)
            self._seen[window] = seen
        return self._seen[window]

    def _distances(self) -> Value:
        """Position of the key minus position of the query, int64 (L, L)."""
        graph = self._graph
        if self._distance is None:
            table = graph.weight("positions", np.arange(self._config.max_length))
            place = graph.first(table, self._inputs.length)
            self._distance = graph.op("Sub", graph.expand(place, 0), graph.expand(place, 1))
        return self._distance

    def _rotate(self, x: Value, layer: int) -> Value:
        """Turn pair i, (x[i], x[i + K/2]), by position · frequency (Su et al. 2021, eq. 34)."""
        graph = self._graph
        cos, sin = self._turns(self._config.rotary_frequencies(layer))
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
        turned = (
            graph.op("Sub", graph.op("Mul", a, cos), graph.op("Mul", b, sin)),
            graph.op("Add", graph.op("Mul", b, cos), graph.op("Mul", a, sin)),
        )
        return graph.op("Concat", *turned, attributes={"axis": -1})

    def _turns(self, frequencies: tuple[float, ...]) -> tuple[Value, Value]:
        """Cosine and sine of each angle, (L, K/2)."""
        if frequencies not in self._angles:
            graph, number = self._graph, len(self._angles)
            angle = np.arange(self._config.max_length)[:, None] * np.array(frequencies)
            tables = {"cos": np.cos(angle), "sin": np.sin(angle)}
            cos, sin = (
                graph.first(
                    graph.weight(f"rotary.{number}.{name}", table.astype(np.float32)),
                    self._inputs.length,
                )
                for name, table in tables.items()
            )
            self._angles[frequencies] = cos, sin
        return self._angles[frequencies]

    def _bias_by_distance(self, bias_by_bucket: np.ndarray) -> Value:
        """What is added to the scores, (H, L, L)."""
        graph, farthest = self._graph, self._config.max_length - 1
        buckets = _buckets(np.arange(-farthest, farthest + 1), self._config)
        table = graph.weight("relative_bias", bias_by_bucket[buckets])
        index = graph.op("Add", self._distances(), graph.constant(farthest, np.int64))
        return graph.transpose(graph.op("Gather", table, index), 2, 0, 1)


def _buckets(distance: np.ndarray, config: EncoderConfig) -> np.ndarray:
    """The bucket of each distance, key minus query (Raffel et al. 2020, section 2.1)."""
    n = config.relative_buckets // 2
    exact = n // 2
    far = np.maximum(np.abs(distance), exact)
    scale = math.log(config.relative_max_distance / exact)
    # The small number keeps whole steps of the scale whole when logarithms are rounded.
    coarse = exact + np.floor(np.log(far / exact) / scale * (n - exact) + 1e-4).astype(np.int64)
    near = np.abs(distance) < exact
    within = np.where(near, np.abs(distance), np.minimum(coarse, n - 1))
    bucket: np.ndarray = within + n * (distance > 0)
    return bucket

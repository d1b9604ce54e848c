"""Self-attention over a padded batch: no position sees padding, nor beyond its window.

B sequences of L positions; H heads of queries, G of keys and values, K head width. Heads of queries
that share keys are the fourth axis from the end, (B, G, H / G, L, K): products broadcast over it,
and keys are not repeated. If none share keys there is no such axis.
"""

from typing import assert_never

import numpy as np

from bothways.checkpoints.onnx.graph import Graph, Value
from bothways.checkpoints.onnx.inputs import Inputs
from bothways.checkpoints.onnx.layers import linear, normalize
from bothways.checkpoints.onnx.positions import GraphAttentionPositions
from bothways.model.config import EncoderConfig
from bothways.model.weights import Weights

__all__ = ["Attention"]

_LOWEST = float(np.finfo(np.float32).min)
"""The score of a masked key. It is finite, so that rows of padding, whose keys may all be masked,
stay finite; all other rows give a masked key a probability of exactly 0."""


class Attention:
    """The attention of all layers, with the masks and tables that they share."""

    def __init__(
        self, graph: Graph, inputs: Inputs, weights: Weights, config: EncoderConfig
    ) -> None:
        self._graph = graph
        self._inputs = inputs
        self._config = config
        self._masks: dict[int | None, Value] = {}
        self._positions = GraphAttentionPositions(graph, inputs, weights, config)

    def layer(self, x: Value, w: Weights, name: str, layer: int) -> Value:
        """Mix the positions, (B, L, D), with the weights under `name`."""
        graph, config, positions = self._graph, self._config, self._positions
        H, G, K = config.num_heads, config.key_value_heads, config.head_width
        query = self._heads(linear(graph, x, w, f"{name}.query"), H, w, f"{name}.query_norm")
        key = self._heads(linear(graph, x, w, f"{name}.key"), G, w, f"{name}.key_norm")
        value = graph.transpose(
            graph.reshape(linear(graph, x, w, f"{name}.value"), 0, 0, G, K), 0, 2, 1, 3
        )
        query, key = positions.rotate(query, layer), positions.rotate(key, layer)
        key, bias = graph.transpose(key, 0, 1, 3, 2), positions.bias
        if G < H:
            query = graph.reshape(query, 0, G, H // G, -1, K)
            key, value = graph.expand(key, 2), graph.expand(value, 2)
            bias = None if bias is None else self._shared_bias(bias)
        scaled = graph.op("Mul", query, graph.constant(config.score_scale))
        score = graph.op("MatMul", scaled, key)
        if bias is not None:
            score = graph.op("Add", score, bias)
        if positions.distance_scores is not None:
            score = positions.distance_scores.add(score, scaled, key, name)
        mask = self._mask(config.window(layer))
        score = graph.op("Where", mask, score, graph.constant(_LOWEST))
        probability = graph.op("Softmax", score, attributes={"axis": -1})
        mixed = graph.op("MatMul", probability, value)
        if G < H:
            mixed = graph.reshape(mixed, 0, H, -1, K)
        mixed = graph.transpose(mixed, 0, 2, 1, 3)
        return linear(graph, graph.reshape(mixed, 0, 0, H * K), w, f"{name}.output")

    def _heads(self, x: Value, num_heads: int, w: Weights, norm: str) -> Value:
        """Queries or keys by head, (B, heads, L, K), with their norm if the encoder has one."""
        graph, config = self._graph, self._config
        match config.query_key_norm:
            case "none":
                x = graph.reshape(x, 0, 0, num_heads, config.head_width)
            case "head":
                x = graph.reshape(x, 0, 0, num_heads, config.head_width)
                x = normalize(graph, x, w, norm, config)
            case "all_heads":
                x = normalize(graph, x, w, norm, config)
                x = graph.reshape(x, 0, 0, num_heads, config.head_width)
            case unknown:
                assert_never(unknown)
        return graph.transpose(x, 0, 2, 1, 3)

    def _shared_bias(self, bias: Value) -> Value:
        """The bias of each head, (H, L, L), by heads of keys, (G, H / G, L, L)."""
        graph, G = self._graph, self._config.key_value_heads
        last = graph.reshape(graph.transpose(bias, 1, 2, 0), 0, 0, G, -1)
        return graph.transpose(last, 2, 3, 0, 1)

    def _mask(self, window: int | None) -> Value:
        """Whether a query sees a key, bool (B, 1, L or 1, L), with one more axis of shared keys."""
        graph = self._graph
        if window not in self._masks:
            is_shared = self._config.key_value_heads < self._config.num_heads
            axes = (1, 2, 3) if is_shared else (1, 2)
            mask = graph.expand(graph.cast(self._inputs.mask, np.bool_), *axes)
            if window is not None:
                distance = graph.op("Abs", self._positions.distances())
                near = graph.op("LessOrEqual", distance, graph.constant(window, np.int64))
                mask = graph.op("And", mask, near)
            match self._config.attention_direction:
                case "both":
                    pass
                case "causal":
                    distance = self._positions.distances()
                    before = graph.op("LessOrEqual", distance, graph.constant(0, np.int64))
                    mask = graph.op("And", mask, before)
                case unknown:
                    assert_never(unknown)
            self._masks[window] = mask
        return self._masks[window]

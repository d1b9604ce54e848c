"""Self-attention over a padded batch: no position sees padding, nor beyond its window."""

import math

import numpy as np

from bothways.checkpoints.onnx.graph import Graph, Value
from bothways.checkpoints.onnx.inputs import Inputs
from bothways.checkpoints.onnx.layers import linear
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
        H, K = config.num_heads, config.head_width
        query, key, value = (
            graph.transpose(
                graph.reshape(linear(graph, x, w, f"{name}.{part}"), 0, 0, H, K), 0, 2, 1, 3
            )
            for part in ("query", "key", "value")
        )
        query, key = positions.rotate(query, layer), positions.rotate(key, layer)
        scaled = graph.op("Mul", query, graph.constant(1 / math.sqrt(K)))
        score = graph.op("MatMul", scaled, graph.transpose(key, 0, 1, 3, 2))
        if positions.bias is not None:
            score = graph.op("Add", score, positions.bias)
        mask = self._mask(config.window(layer))
        score = graph.op("Where", mask, score, graph.constant(_LOWEST))
        probability = graph.op("Softmax", score, attributes={"axis": -1})
        mixed = graph.transpose(graph.op("MatMul", probability, value), 0, 2, 1, 3)
        return linear(graph, graph.reshape(mixed, 0, 0, H * K), w, f"{name}.output")

    def _mask(self, window: int | None) -> Value:
        """Whether a query sees a key, bool (B, 1, L or 1, L)."""
        graph = self._graph
        if window not in self._masks:
            mask = graph.expand(graph.cast(self._inputs.mask, np.bool_), 1, 2)
            if window is not None:
                distance = graph.op("Abs", self._positions.distances())
                near = graph.op("LessOrEqual", distance, graph.constant(window, np.int64))
                mask = graph.op("And", mask, near)
            self._masks[window] = mask
        return self._masks[window]

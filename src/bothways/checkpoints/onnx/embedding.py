"""Embedding: from a padded batch of ids or vectors to the input of the first block."""

from typing import assert_never

import numpy as np

from bothways.checkpoints.onnx.graph import Graph, Value
from bothways.checkpoints.onnx.inputs import Inputs
from bothways.checkpoints.onnx.layers import linear, normalize
from bothways.checkpoints.onnx.positions import add_positions
from bothways.model.config import MASKED_IN_TRAINING, EncoderConfig
from bothways.model.weights import Weights

__all__ = ["embed"]


def embed(graph: Graph, inputs: Inputs, w: Weights, config: EncoderConfig) -> Value:
    """Input + segment + position, normalized, projected, (B, L, D)."""
    match config.input:
        case "tokens":
            table = graph.weight("embedding.token.weight", w["embedding.token.weight"])
            x = graph.op("Gather", table, inputs.values)
            x = graph.scale(x, config.embedding_scale)
            if config.rescaled_mask_token is not None:
                x = _rescale_masked(graph, x, inputs, config.rescaled_mask_token)
        case "vectors":
            x = linear(graph, inputs.values, w, "embedding.input")
        case unknown:
            assert_never(unknown)
    if config.num_segments:
        segments = graph.weight("embedding.segment.weight", w["embedding.segment.weight"])
        chosen = inputs.segments or graph.constant([0], np.int64)
        x = graph.op("Add", x, graph.op("Gather", segments, chosen))
    x = add_positions(graph, x, inputs, w, config)
    if config.embedding_norm:
        x = normalize(graph, x, w, "embedding.norm", config)
    if config.embedding_size is not None:
        x = linear(graph, x, w, "embedding.projection")
    return x


def _rescale_masked(graph: Graph, x: Value, inputs: Inputs, mask_token: int) -> Value:
    """x · (1 - masked in training) / (1 - masked here), and zero for the mask tokens (ESM-2)."""
    is_mask = graph.op("Equal", inputs.values, graph.constant(mask_token, np.int64))
    unmasked = graph.expand(graph.cast(graph.op("Not", is_mask), np.float32), 2)
    kept = graph.op("Mul", unmasked, inputs.real)
    length = graph.total(inputs.real, 1, keep=True)
    # A sequence of mask tokens alone stays zero.
    count = graph.op("Max", graph.total(kept, 1, keep=True), graph.constant(1.0))
    factor = graph.op("Div", graph.op("Mul", length, graph.constant(1 - MASKED_IN_TRAINING)), count)
    return graph.op("Mul", x, graph.op("Mul", unmasked, factor))

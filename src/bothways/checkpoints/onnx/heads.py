"""The outputs of heads: logits or values, not probabilities."""

from bothways.checkpoints.onnx.graph import Graph, Value
from bothways.checkpoints.onnx.inputs import Inputs
from bothways.checkpoints.onnx.layers import activate, layer_norm, linear
from bothways.checkpoints.onnx.pooling import pool
from bothways.model.config import EncoderConfig
from bothways.model.heads import TIED_WEIGHT, Head, HeadLayer
from bothways.model.weights import Weights

__all__ = ["head_outputs"]


def head_outputs(
    graph: Graph, x: Value, inputs: Inputs, w: Weights, config: EncoderConfig, head: Head
) -> Value:
    """The outputs of a head: (B, O) if it pools, (B, L, O) otherwise."""
    if head.pooling is not None and not head.pools_outputs:
        x = pool(graph, x, inputs, head.pooling, config.max_length)
    for layer in head.layers:
        x = _layer(graph, x, w, layer)
    if head.pooling is not None and head.pools_outputs:
        return pool(graph, x, inputs, head.pooling, config.max_length)
    return x


def _layer(graph: Graph, x: Value, w: Weights, layer: HeadLayer) -> Value:
    if layer.tied:
        # The token embedding table, transposed in the graph so that the file has only one copy.
        table = graph.weight(TIED_WEIGHT, w[TIED_WEIGHT])
        y = graph.op("MatMul", x, graph.transpose(table, 1, 0))
        if layer.bias:
            name = f"{layer.name}.bias"
            y = graph.op("Add", y, graph.weight(name, w[name]))
    else:
        y = linear(graph, x, w, layer.name)
    y = activate(graph, y, layer.activation)
    return y if layer.norm is None else layer_norm(graph, y, w, layer.norm, layer.norm_eps)

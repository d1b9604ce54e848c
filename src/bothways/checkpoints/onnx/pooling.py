"""Pooling without padding, and the modules that follow it."""

from typing import assert_never

import numpy as np

from bothways.checkpoints.onnx.graph import Graph, Value
from bothways.checkpoints.onnx.inputs import Inputs
from bothways.checkpoints.onnx.layers import activate, layer_norm
from bothways.model.config import PoolingMode
from bothways.model.pooling import NORM_EPS, Dense, Normalize, PooledLayerNorm
from bothways.model.spec import ModelSpec
from bothways.model.weights import Weights

__all__ = ["embedding", "pool"]

_SMALLEST_LENGTH = 1e-12
"""Shorter vectors are divided by this, as in `bothways.inference.postprocessing`."""


def pool(graph: Graph, x: Value, inputs: Inputs, mode: PoolingMode, max_length: int) -> Value:
    """Pool the positions of each sequence, (B, D), by the modes of `reference.pool`."""
    match mode:
        case "cls":
            return graph.op("Gather", x, graph.constant(0, np.int64), attributes={"axis": 1})
        case "last":
            place = _places(graph, inputs, max_length)
            is_last = graph.op("Equal", place, graph.total(inputs.real, 1, keep=True))
            return graph.total(graph.op("Mul", x, graph.cast(is_last, np.float32)), 1)
        case "max":
            lowest = graph.constant(float(np.finfo(np.float32).min))
            kept = graph.op("Where", graph.cast(inputs.real, np.bool_), x, lowest)
            return graph.op("ReduceMax", kept, attributes={"axes": [1], "keepdims": 0})
        case "mean":
            return graph.op("Div", _sum(graph, x, inputs), graph.total(inputs.real, 1))
        case "mean_sqrt_len":
            root = graph.op("Sqrt", graph.total(inputs.real, 1))
            return graph.op("Div", _sum(graph, x, inputs), root)
        case "weighted_mean":
            weight = graph.op("Mul", _places(graph, inputs, max_length), inputs.real)
            weighted = graph.total(graph.op("Mul", x, weight), 1)
            return graph.op("Div", weighted, graph.total(weight, 1))
        case "mean_content":
            total = graph.total(inputs.content, 1)
            has_content = graph.op("Greater", total, graph.constant(0.0))
            weight = graph.op("Where", graph.expand(has_content, 1), inputs.content, inputs.real)
            weighted = graph.total(graph.op("Mul", x, weight), 1)
            return graph.op("Div", weighted, graph.total(weight, 1))
        case unknown:
            assert_never(unknown)


def embedding(
    graph: Graph, x: Value, inputs: Inputs, spec: ModelSpec, w: Weights
) -> tuple[Value, int]:
    """The sentence embedding of each sequence, (B, width), and its width.

    w: the weights of the modules after pooling.
    """
    pooled = [pool(graph, x, inputs, mode, spec.config.max_length) for mode in spec.pooling.modes]
    vector = pooled[0]
    if len(pooled) > 1:
        vector = graph.op("Concat", *pooled, attributes={"axis": 1})
    modules, width = spec.modules, spec.width
    for number, module in enumerate(modules[:-1] if spec.normalizes else modules):
        match module:
            case Dense():
                vector = _dense(graph, vector, module, w, f"modules.{number}")
            case PooledLayerNorm():
                vector = layer_norm(graph, vector, w, f"modules.{number}", NORM_EPS)
            case Normalize():
                vector = _unit_length(graph, vector)
    if spec.dimensions is not None and spec.dimensions < width:
        bounds = (graph.constant([n], np.int64) for n in (0, spec.dimensions, 1))
        vector, width = graph.op("Slice", vector, *bounds), spec.dimensions
    return (_unit_length(graph, vector) if spec.normalizes else vector), width


def _places(graph: Graph, inputs: Inputs, max_length: int) -> Value:
    """The positions, counted from 1, float32 (L, 1)."""
    table = graph.weight("places", np.arange(1, max_length + 1, dtype=np.float32))
    return graph.expand(graph.first(table, inputs.length), 1)


def _sum(graph: Graph, x: Value, inputs: Inputs) -> Value:
    return graph.total(graph.op("Mul", x, inputs.real), 1)


def _dense(graph: Graph, x: Value, dense: Dense, w: Weights, name: str) -> Value:
    y = graph.op("MatMul", x, graph.weight(f"{name}.weight", w[f"{name}.weight"].T))
    if dense.bias:
        y = graph.op("Add", y, graph.weight(f"{name}.bias", w[f"{name}.bias"]))
    return activate(graph, y, dense.activation)


def _unit_length(graph: Graph, x: Value) -> Value:
    square = graph.total(graph.op("Mul", x, x), 1, keep=True)
    length = graph.op("Max", graph.op("Sqrt", square), graph.constant(_SMALLEST_LENGTH))
    return graph.op("Div", x, length)

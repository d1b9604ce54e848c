"""The elementary layers as operations: linear maps, norms and activations."""

import math
from typing import assert_never

import numpy as np

from bothways.checkpoints.onnx.graph import Graph, Value
from bothways.model.activations import AnyActivation
from bothways.model.config import EncoderConfig
from bothways.model.weights import Weights

__all__ = ["activate", "layer_norm", "linear", "normalize"]


def linear(graph: Graph, x: Value, w: Weights, name: str) -> Value:
    """x Wᵀ + b; the file stores the matrix transposed, (in, out)."""
    matrix = graph.weight(f"{name}.weight", w[f"{name}.weight"].T)
    y = graph.op("MatMul", x, matrix)
    if f"{name}.bias" not in w:
        return y
    return graph.op("Add", y, graph.weight(f"{name}.bias", w[f"{name}.bias"]))


def normalize(graph: Graph, x: Value, w: Weights, name: str, config: EncoderConfig) -> Value:
    """Normalize the last axis, with the gain (and bias) called `name`.

    The file stores zero-centered gains with the 1 that they are less.
    """
    if config.norm_zero_centered:
        w = {**w, f"{name}.weight": 1 + w[f"{name}.weight"]}
    match config.norm:
        case "layer":
            return layer_norm(graph, x, w, name, config.norm_eps)
        case "rms":
            square = graph.op("Mul", x, x)
            mean = graph.op("ReduceMean", square, attributes={"axes": [-1], "keepdims": 1})
            deviation = graph.op("Sqrt", graph.op("Add", mean, graph.constant(config.norm_eps)))
            gain = graph.weight(f"{name}.weight", w[f"{name}.weight"])
            return graph.op("Mul", graph.op("Div", x, deviation), gain)
        case unknown:
            assert_never(unknown)


def layer_norm(graph: Graph, x: Value, w: Weights, name: str, eps: float) -> Value:
    """(x - mean) / sqrt(variance + eps) * gain + bias."""
    gain = w[f"{name}.weight"]
    bias = w.get(f"{name}.bias", np.zeros_like(gain))
    return graph.op(
        "LayerNormalization",
        x,
        graph.weight(f"{name}.weight", gain),
        graph.weight(f"{name}.bias", bias),
        attributes={"axis": -1, "epsilon": float(eps)},
    )


def activate(graph: Graph, x: Value, activation: AnyActivation) -> Value:
    """The nonlinearity, in the form that ONNX Runtime fuses."""
    match activation:
        case "identity":
            return x
        case "tanh":
            return graph.op("Tanh", x)
        case "sigmoid":
            return graph.op("Sigmoid", x)
        case "relu":
            return graph.op("Relu", x)
        case "gelu":
            scaled = graph.op("Div", x, graph.constant(math.sqrt(2)))
            return _half_of(graph, x, graph.op("Erf", scaled))
        case "gelu_tanh":
            cube = graph.op("Mul", graph.op("Mul", x, x), x)
            inner = graph.op("Add", x, graph.op("Mul", cube, graph.constant(0.044715)))
            scaled = graph.op("Mul", inner, graph.constant(math.sqrt(2 / math.pi)))
            return _half_of(graph, x, graph.op("Tanh", scaled))
        case "silu":
            return graph.op("Mul", x, graph.op("Sigmoid", x))
        case unknown:
            assert_never(unknown)


def _half_of(graph: Graph, x: Value, y: Value) -> Value:
    """x (1 + y) / 2."""
    product = graph.op("Mul", x, graph.op("Add", y, graph.constant(1.0)))
    return graph.op("Mul", product, graph.constant(0.5))

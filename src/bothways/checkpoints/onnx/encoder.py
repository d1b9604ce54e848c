"""The encoder: the embedding, then the blocks in turn, over a padded batch."""

from typing import assert_never

import numpy as np

from bothways.checkpoints.onnx.attention import Attention
from bothways.checkpoints.onnx.embedding import embed
from bothways.checkpoints.onnx.experts import mixture_of_experts
from bothways.checkpoints.onnx.graph import Graph, Value
from bothways.checkpoints.onnx.inputs import Inputs
from bothways.checkpoints.onnx.layers import activate, linear, normalize
from bothways.model.config import EncoderConfig
from bothways.model.weights import Weights

__all__ = ["encode"]


def encode(graph: Graph, inputs: Inputs, weights: Weights, config: EncoderConfig) -> Value:
    """The last hidden states, float32 (B, L, D); those of padding are meaningless."""
    x = embed(graph, inputs, weights, config)
    attention = Attention(graph, inputs, weights, config)
    added = None
    if config.convolution_kernel_size:
        added = _convolve(graph, x, inputs, weights, config)
    for layer in range(config.num_layers):
        x = _block(graph, x, weights, config, layer, attention)
        if layer == 0 and added is not None:
            x = graph.op("Add", x, added)
            x = normalize(graph, x, weights, "convolution_norm", config)
    if config.final_norm:
        x = normalize(graph, x, weights, "final_norm", config)
    return x


def _convolve(graph: Graph, x: Value, inputs: Inputs, w: Weights, config: EncoderConfig) -> Value:
    """What a convolution adds to the first layer, (B, L, D); padding is 0 to its neighbors."""
    size, groups = config.convolution_kernel_size, config.convolution_groups
    by_position = w["convolution.weight"].reshape(config.d_model, size, -1)
    kernel = graph.weight("convolution.weight", by_position.swapaxes(1, 2))  # (D, D / groups, size)
    bias = graph.weight("convolution.bias", np.asarray(w["convolution.bias"]))
    channels = graph.transpose(graph.op("Mul", x, inputs.real), 0, 2, 1)
    mixed = graph.op(
        "Conv",
        channels,
        kernel,
        bias,
        attributes={"group": groups, "kernel_shape": [size], "pads": [size // 2, size // 2]},
    )
    return activate(graph, graph.transpose(mixed, 0, 2, 1), config.convolution_activation)


def _block(
    graph: Graph,
    x: Value,
    w: Weights,
    config: EncoderConfig,
    layer: int,
    attention: Attention,
) -> Value:
    """Attention, then feed-forward, each added to its input and normalized."""
    name = f"blocks.{config.block(layer)}"

    def norm(x: Value, which: str) -> Value:
        return normalize(graph, x, w, f"{name}.{which}", config)

    def attend(x: Value) -> Value:
        return attention.layer(x, w, f"{name}.attention", layer)

    def add(x: Value, y: Value) -> Value:
        return graph.op("Add", x, graph.scale(y, config.residual_scale))

    match config.norm_placement:
        case "post":
            x = norm(add(x, attend(x)), "attention_norm")
            inner = _feed_forward(graph, x, w, name, config)
            return norm(add(x, inner), "feed_forward_norm")
        case "pre":
            has_norm = config.has_attention_norm(config.block(layer))
            x = add(x, attend(norm(x, "attention_norm") if has_norm else x))
            inner = _feed_forward(graph, norm(x, "feed_forward_norm"), w, name, config)
            return add(x, inner)
        case "sandwich":
            x = add(x, norm(attend(norm(x, "attention_norm")), "attention_output_norm"))
            inner = _feed_forward(graph, norm(x, "feed_forward_norm"), w, name, config)
            return add(x, norm(inner, "feed_forward_output_norm"))
        case unknown:
            assert_never(unknown)


def _feed_forward(graph: Graph, x: Value, w: Weights, name: str, config: EncoderConfig) -> Value:
    """down(act(up(x))); gated, down(act(gate(x)) · up(x)); or a mixture of experts."""
    if f"{name}.feed_forward.router.weight" in w:
        return mixture_of_experts(graph, x, w, f"{name}.feed_forward", config)
    up = linear(graph, x, w, f"{name}.feed_forward.up")
    if config.gated:
        gate = linear(graph, x, w, f"{name}.feed_forward.gate")
        inner = graph.op("Mul", activate(graph, gate, config.activation), up)
    else:
        inner = activate(graph, up, config.activation)
    return linear(graph, inner, w, f"{name}.feed_forward.down")

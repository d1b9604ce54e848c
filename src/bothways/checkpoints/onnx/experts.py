"""A feed-forward that is a mixture of experts, of which each position uses a few.

N positions of all sequences, padding included; D model width; F feed-forward width of an expert; X
experts, k of them per position; E positions of one expert.
"""

import numpy as np

from bothways.checkpoints.onnx.graph import Graph, Value
from bothways.checkpoints.onnx.layers import activate, linear
from bothways.model.config import EncoderConfig
from bothways.model.weights import Weights

__all__ = ["mixture_of_experts"]


def mixture_of_experts(
    graph: Graph, x: Value, w: Weights, name: str, config: EncoderConfig
) -> Value:
    """`reference.block.mixture_of_experts` of (B, L, D): an expert computes its positions only."""
    x_ND = graph.reshape(x, -1, config.d_model)
    logit_NX = linear(graph, x_ND, w, f"{name}.router")
    p_NX = graph.op("Softmax", logit_NX, attributes={"axis": -1})
    p_Nk, expert_Nk = graph.top(p_NX, config.experts_per_token)
    zero = graph.constant(0.0)
    y_ND = graph.op("Mul", x_ND, zero)
    for expert in range(config.num_experts):
        is_chosen_Nk = graph.op("Equal", expert_Nk, graph.constant(expert, np.int64))
        p_N1 = graph.total(graph.op("Where", is_chosen_Nk, p_Nk, zero), 1, keep=True)
        position_E = graph.reshape(graph.op("NonZero", graph.reshape(p_N1, -1)), -1)
        output_ED = _expert(graph, graph.op("Gather", x_ND, position_E), w, name, config, expert)
        output_ED = graph.op("Mul", output_ED, graph.op("Gather", p_N1, position_E))
        y_ND = graph.op(
            "ScatterND",
            y_ND,
            graph.expand(position_E, 1),
            output_ED,
            attributes={"reduction": "add"},
        )
    if f"{name}.experts.bias" in w:
        bias_D = graph.weight(f"{name}.experts.bias", w[f"{name}.experts.bias"])
        y_ND = graph.op("Add", y_ND, bias_D)
    return graph.op("Reshape", y_ND, graph.op("Shape", x))


def _expert(
    graph: Graph, x_ED: Value, w: Weights, name: str, config: EncoderConfig, expert: int
) -> Value:
    """down(act(up(x))) with the rows of one expert."""
    rows = slice(expert * config.d_ff, (expert + 1) * config.d_ff)
    up, down = f"{name}.experts.up.weight", f"{name}.experts.down.weight"
    up_DF = graph.weight(f"{up}.{expert}", w[up][rows].T)
    down_FD = graph.weight(f"{down}.{expert}", w[down][rows])
    inner_EF = activate(graph, graph.op("MatMul", x_ED, up_DF), config.activation)
    return graph.op("MatMul", inner_EF, down_FD)

"""Sequence vectors in torch: pooling and the modules of a model folder.

`Encoder` computes the same with NumPy. T tokens of all sequences; B sequences; D dimensions.
"""

from collections.abc import Sequence
from typing import assert_never

import torch
from torch import Tensor
from torch.nn import functional

from bothways.checkpoints import Dense, DenseActivation, Normalize, Pooling
from bothways.model.config import EncoderShape
from bothways.nn.layers import activate
from bothways.nn.lengths import Lengths
from bothways.nn.packed_encoder import to_tensor
from bothways.nn.pooling import pool

__all__ = ["pooled_vectors", "pooled_width"]


def pooled_vectors(
    x_TD: Tensor, lengths: Lengths, pooling: Pooling, modules: Sequence[Dense | Normalize]
) -> Tensor:
    """One vector per sequence, in float32 or more, (B, D); dense layers are constants."""
    y_BD = torch.cat([pool(x_TD, lengths, mode) for mode in pooling.modes], 1)
    for module in modules:
        match module:
            case Dense():
                weight = to_tensor(module.weight).to(y_BD)
                bias = None if module.bias is None else to_tensor(module.bias).to(y_BD)
                y_BD = _activate(functional.linear(y_BD, weight, bias), module.activation)
            case Normalize():
                y_BD = functional.normalize(y_BD, dim=1)
    return y_BD


def pooled_width(
    config: EncoderShape, pooling: Pooling, modules: Sequence[Dense | Normalize]
) -> int:
    """The number of dimensions of `pooled_vectors`."""
    widths = [len(module.weight) for module in modules if isinstance(module, Dense)]
    return widths[-1] if widths else config.d_model * len(pooling.modes)


def _activate(x_BD: Tensor, activation: DenseActivation) -> Tensor:
    match activation:
        case "identity":
            return x_BD
        case "tanh":
            return torch.tanh(x_BD)
        case "sigmoid":
            return torch.sigmoid(x_BD)
        case "relu" | "gelu" | "gelu_tanh" | "silu":
            return activate(x_BD, activation)
        case unknown:
            assert_never(unknown)

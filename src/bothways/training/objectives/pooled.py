"""Sequence vectors in torch: pooling and the modules of a model folder.

`Encoder` computes the same with NumPy. T tokens of all sequences; B sequences; D dimensions.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from bothways.model.config import EncoderShape
from bothways.model.pooling import NORM_EPS, Dense, Module, Normalize, PooledLayerNorm, Pooling
from bothways.model.weights import Weights
from bothways.nn.layers import activate
from bothways.nn.lengths import Lengths
from bothways.nn.packed_encoder import to_tensor
from bothways.nn.pooling import pool

__all__ = ["pooled_vectors", "pooled_width"]


def pooled_vectors(
    x_TD: Tensor,
    lengths: Lengths,
    pooling: Pooling,
    modules: Sequence[Module],
    weights: Weights,
) -> Tensor:
    """One vector per sequence, in float32 or more, (B, D); layers are constants."""
    y_BD = torch.cat([pool(x_TD, lengths, mode) for mode in pooling.modes], 1)
    for number, module in enumerate(modules):
        match module:
            case Dense():
                weight = to_tensor(weights[f"modules.{number}.weight"]).to(y_BD)
                bias = None
                if module.bias:
                    bias = to_tensor(weights[f"modules.{number}.bias"]).to(y_BD)
                y_BD = activate(functional.linear(y_BD, weight, bias), module.activation)
            case PooledLayerNorm():
                gain, bias = (
                    to_tensor(weights[f"modules.{number}.{name}"]).to(y_BD)
                    for name in ("weight", "bias")
                )
                y_BD = functional.layer_norm(y_BD, (module.width,), gain, bias, NORM_EPS)
            case Normalize():
                y_BD = functional.normalize(y_BD, dim=1)
    return y_BD


def pooled_width(config: EncoderShape, pooling: Pooling, modules: Sequence[Module]) -> int:
    """The number of dimensions of `pooled_vectors`."""
    widths = [module.outputs for module in modules if isinstance(module, Dense)]
    return widths[-1] if widths else config.d_model * len(pooling.modes)

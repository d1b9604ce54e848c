"""Heads in PyTorch, on a packed batch: for training them together with their encoder.

`reference.heads` is the definition. T tokens of all sequences end to end; N rows: sequences,
positions, or some of the positions; D model width; I inputs and O outputs of a layer or head; V
vocabulary size, E embedding width.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bothways.model.config import EncoderShape
from bothways.model.heads import Head, HeadLayer, head_layout
from bothways.nn.layers import activate
from bothways.nn.lengths import Lengths
from bothways.nn.onednn import linear
from bothways.nn.packed_encoder import to_tensor
from bothways.nn.pooling import pool

_STREAM = 1
"""Random stream of head weights, so that they do not repeat those of an encoder with the seed."""


class HeadModule(nn.Module):
    """A head as a module, whose parameters have the names of `heads.head_layout`.

    It starts with the weights of `initialize_head`.
    """

    def __init__(self, head: Head, config: EncoderShape, *, seed: int = 0) -> None:
        super().__init__()
        self.head = head
        for name, array in initialize_head(head, config, seed=seed).items():
            module: nn.Module = self
            *path, last = name.split(".")
            for step in path:
                module = _child(module, step)
            module.register_parameter(last, nn.Parameter(to_tensor(array)))

    def forward(
        self,
        x_TD: Float[Tensor, "T D"],
        lengths: Lengths,
        table_VE: Float[Tensor, "V E"] | None = None,
        token_N: Int[Tensor, "N"] | None = None,
    ) -> Float[Tensor, "N O"]:
        """The outputs for each sequence if the head pools, else for each position.

        table_VE: the token embedding table, which a tied layer needs.
        token_N: the tokens to compute outputs for, if the head does not pool; None for all.
        """
        pooling = self.head.pooling
        if pooling is not None and not self.head.pools_outputs:
            x_TD = pool(x_TD, lengths, pooling)
        elif pooling is None and token_N is not None:
            x_TD = x_TD[token_N]
        weights = dict(self.named_parameters())
        *hidden, last = self.head.layers
        for layer in hidden:
            x_TD = _layer(layer, x_TD, weights, table_VE)
        x_TD = functional.dropout(x_TD, self.head.dropout, self.training)
        outputs = _layer(last, x_TD, weights, table_VE)
        if pooling is not None and self.head.pools_outputs:
            return pool(outputs, lengths, pooling)
        return outputs


def initialize_head(head: Head, config: EncoderShape, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Random float32 weights for a head, determined by the seed.

    Matrices are normal with standard deviation 0.02, gains 1, biases 0, as those of the encoder.
    """
    rng = np.random.default_rng([seed, _STREAM])
    weights = {}
    for name, shape in head_layout(head, config).items():
        if len(shape) > 1:
            weights[name] = np.float32(0.02) * rng.standard_normal(shape, dtype=np.float32)
        else:
            weights[name] = np.full(shape, name.endswith(".weight"), dtype=np.float32)
    return weights


def _layer(
    layer: HeadLayer, x_NI: Tensor, weights: Mapping[str, Tensor], table_VE: Tensor | None
) -> Tensor:
    matrix_OI = table_VE if layer.tied else weights[f"{layer.name}.weight"]
    if matrix_OI is None:
        raise ValueError(f"{layer.name} is tied to the token embeddings, and `table_VE` is None")
    y_NO = linear(x_NI, matrix_OI, weights.get(f"{layer.name}.bias"))
    y_NO = activate(y_NO, layer.activation)
    if layer.norm is None:
        return y_NO
    gain_O, bias_O = weights[f"{layer.norm}.weight"], weights.get(f"{layer.norm}.bias")
    return functional.layer_norm(y_NO, (layer.outputs,), gain_O, bias_O, layer.norm_eps)


def _child(parent: nn.Module, name: str) -> nn.Module:
    """The child module of that name, created if missing: dotted names are trees of modules."""
    children = dict(parent.named_children())
    if name not in children:
        children[name] = nn.Module()
        parent.add_module(name, children[name])
    return children[name]

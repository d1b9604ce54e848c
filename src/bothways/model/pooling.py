"""Pooling and the modules after it: from the hidden states of a sequence to one vector."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Literal

from bothways.model.config import PoolingMode
from bothways.model.layout import Shape

__all__ = [
    "MEAN",
    "NORM_EPS",
    "Dense",
    "DenseActivation",
    "Module",
    "Normalize",
    "PooledLayerNorm",
    "Pooling",
    "module_layout",
]

DenseActivation = Literal["identity", "tanh", "sigmoid", "relu", "gelu", "gelu_tanh", "silu"]


@dataclasses.dataclass(frozen=True)
class Pooling:
    """How the hidden states of a sequence become one vector: pooled by each mode, concatenated.

    include_prompt: whether the positions of a prompt are pooled too.
    """

    modes: tuple[PoolingMode, ...] = ("mean",)
    include_prompt: bool = True

    def width(self, d_model: int) -> int:
        """Dimensions of the pooled vector of an encoder with this `d_model`."""
        return d_model * len(self.modes)


MEAN = Pooling()
"""The mean of all positions."""


@dataclasses.dataclass(frozen=True)
class Dense:
    """A linear layer on pooled vectors: activation(x Wᵀ + b).

    Its arrays are weights of the model, under the names of `module_layout`.

    inputs, outputs: dimensions of the vectors before and after it.
    """

    kind: ClassVar[str] = "dense"

    inputs: int
    outputs: int
    bias: bool = True
    activation: DenseActivation = "identity"


@dataclasses.dataclass(frozen=True)
class Normalize:
    """Division of pooled vectors by their Euclidean norm."""

    kind: ClassVar[str] = "normalize"


@dataclasses.dataclass(frozen=True)
class PooledLayerNorm:
    """Layer norm of pooled vectors of `width` dimensions, with a gain and a bias.

    Its arrays are weights of the model, under the names of `module_layout`.
    """

    kind: ClassVar[str] = "layer_norm"

    width: int


NORM_EPS = 1e-5
"""Added to the variance by `PooledLayerNorm`, as torch does by default."""

Module = Dense | Normalize | PooledLayerNorm
"""What may follow pooling."""


def module_layout(modules: Sequence[Module]) -> dict[str, Shape]:
    """Name and shape of the weights of the modules after pooling; matrices are (out, in).

    >>> module_layout([Dense(384, 128), Normalize()])
    {'modules.0.weight': (128, 384), 'modules.0.bias': (128,)}
    """
    names: dict[str, Shape] = {}
    for number, module in enumerate(modules):
        match module:
            case Dense():
                names[f"modules.{number}.weight"] = (module.outputs, module.inputs)
                if module.bias:
                    names[f"modules.{number}.bias"] = (module.outputs,)
            case PooledLayerNorm():
                names[f"modules.{number}.weight"] = (module.width,)
                names[f"modules.{number}.bias"] = (module.width,)
            case Normalize():
                pass
    return names

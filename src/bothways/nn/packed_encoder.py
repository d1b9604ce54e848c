"""The base class of all encoders in torch: their weights, and the arguments of a call.

T tokens of all sequences end to end; D width of the output vectors.
"""

import abc
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from bothways.model.baselines import any_encoder
from bothways.model.baselines.any_encoder import AnyConfig
from bothways.model.weights import CheckedWeights, Weights
from bothways.nn.layers import Linear
from bothways.nn.lengths import Lengths

__all__ = ["PackedEncoder", "to_tensor"]


class PackedEncoder(nn.Module, abc.ABC):
    """Maps a packed batch to a vector per token; sequences do not affect one another.

    Attribute names are the names in the layout of its config: `state_dict()` has exactly those.
    """

    config: AnyConfig

    @abc.abstractmethod
    def forward(
        self,
        values: Num[Tensor, "T *C"],
        lengths: Lengths,
        segments_T: Int[Tensor, "T"] | None = None,
        keep_layers: Sequence[int] | None = None,
    ) -> tuple[Float[Tensor, "T D"], ...]:
        """Hidden states of `keep_layers`, in that order; by default only of the last layer.

        values: token ids (T,) or vectors (T, C). lengths: those of the sequences.
        keep_layers: 0 for the embeddings, i for the output of layer i; the final norm, if the
            encoder has one, is applied to the last.
        """

    def load_weights(self, weights: Weights) -> None:
        """Copy `weights` into the parameters.

        Raises:
            CheckpointError: if they differ from the layout in name or shape, or are not finite.
        """
        self.fill(CheckedWeights.of(any_encoder.layout(self.config), weights, "weights"))

    def fill(self, weights: CheckedWeights) -> None:
        """Copy `weights` into the parameters of the same names; packed matrices have none."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.copy_(to_tensor(weights[name]))

    def pack(self, weights: CheckedWeights) -> None:
        """Pack the matrices of all linear maps, for inference on a CPU: see `Linear.pack`.

        Calling it before `fill` saves the memory of an unpacked copy.
        """
        for name, module in self.named_modules():
            if isinstance(module, Linear):
                module.pack(to_tensor(weights[f"{name}.weight"]).float())


def to_tensor(array: np.ndarray) -> Tensor:
    """A tensor that shares the array's memory, or has a copy if that is read-only."""
    return torch.from_numpy(np.require(array, requirements=("C", "W")))

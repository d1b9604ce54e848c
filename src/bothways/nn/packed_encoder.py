"""What every encoder in torch has in common: its weights, and what it is called with.

T tokens of all sequences end to end; D width of the vectors that come out.
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
    """A packed batch in, vectors of every token out, a sequence never seeing another.

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
        """Hidden states of `keep_layers`, one for each; of the last layer alone without.

        values: token ids (T,) or vectors (T, C). lengths: how they are cut into sequences.
        keep_layers: 0 for the embeddings, i for what layer i gives; the last has been through the
            final norm, where there is one.
        """

    def load_weights(self, weights: Weights) -> None:
        """Copy in the weights of the layout.

        Raises:
            CheckpointError: if they are not exactly those, in shape and name, and finite.
        """
        self.fill(CheckedWeights.of(any_encoder.layout(self.config), weights, "weights"))

    def fill(self, weights: CheckedWeights) -> None:
        """Copy the weights into the parameters of the same names."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.copy_(to_tensor(weights[name]))

    def pack(self, weights: CheckedWeights) -> None:
        """Pack the matrices of all linear maps, for inference on a CPU: see `Linear.pack`.

        Done before `fill`, it spares the memory of a plain copy.
        """
        for name, module in self.named_modules():
            if isinstance(module, Linear):
                module.pack(to_tensor(weights[f"{name}.weight"]).float())


def to_tensor(array: np.ndarray) -> Tensor:
    """A tensor on the array's own memory; on a copy where that is read-only, which torch minds."""
    return torch.from_numpy(np.require(array, requirements=("C", "W")))

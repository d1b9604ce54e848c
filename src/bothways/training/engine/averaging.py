"""An exponential moving average of the weights of a run (Polyak and Juditsky 1992)."""

import contextlib
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from bothways.errors import CheckpointError
from bothways.training.distributed.sharding import copy_array_into, to_full_array

__all__ = ["WeightAverage"]

_SUFFIX = ".average"


class WeightAverage:
    """The average of the weights after each step; a step counts less the longer ago it was.

    The weights of n steps ago count about e^(-n / steps). The average of the first steps reaches
    back a tenth of them, so that the random weights of the start soon count for nothing, as in
    TensorFlow's `ExponentialMovingAverage`.

    parameters: by their names in a model file. steps: how far the average reaches back, at least 1.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], steps: float) -> None:
        self._parameters = parameters
        self._decay = 1 - 1 / max(steps, 1.0)
        self._averages = {name: _copy(p) for name, p in parameters.items() if p.requires_grad}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Add the current weights, which are those after `step` steps."""
        decay = min(self._decay, step / (step + 10))
        for name, average in self._averages.items():
            average.lerp_(self._parameters[name], 1 - decay)

    @contextlib.contextmanager
    def in_place_of_weights(self) -> Iterator[None]:
        """Give the model the averages while the context is open."""
        weights = {name: _copy(self._parameters[name]) for name in self._averages}
        self._copy_into_model(self._averages)
        try:
            yield
        finally:
            self._copy_into_model(weights)

    def arrays(self) -> dict[str, np.ndarray]:
        """The averages for a checkpoint, named `{weight}.average`.

        Every process must call this: it gathers shards.
        """
        return {name + _SUFFIX: to_full_array(each) for name, each in self._averages.items()}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore the averages from a checkpoint's arrays.

        Raises:
            CheckpointError: if an average is missing or has the wrong shape.
        """
        for name, average in self._averages.items():
            array = arrays.get(name + _SUFFIX)
            if array is None or array.shape != tuple(average.shape):
                raise CheckpointError(f"the average of weight {name!r} is missing or misshapen")
            copy_array_into(average, array)

    @torch.no_grad()
    def _copy_into_model(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            self._parameters[name].copy_(tensor)


def _copy(parameter: nn.Parameter) -> Tensor:
    return parameter.detach().clone()

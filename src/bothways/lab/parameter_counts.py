"""One way of counting the parameters of the models that comparisons train."""

import dataclasses
from typing import Self

from torch import nn

from bothways.nn.baselines import count_parameters

__all__ = ["ParameterCounts"]


@dataclasses.dataclass(frozen=True)
class ParameterCounts:
    """Trained numbers of a model.

    encoder: of the encoder, embeddings included. `matched_config` makes this count equal.
    head: of everything on top: a classifier, an output layer or a decoder. It follows from the
        width of the encoder's vectors, which differs between encoders of equal size.
    """

    encoder: int
    head: int

    @classmethod
    def of(cls, model: nn.Module) -> Self:
        """Count the parameters of a model whose encoder is `model.encoder`."""
        encoder = count_parameters(model.get_submodule("encoder"))
        return cls(encoder, count_parameters(model) - encoder)

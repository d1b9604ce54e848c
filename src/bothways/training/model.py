"""What is trained: an encoder, and a head on it.

T tokens of all sequences end to end; N rows, O outputs of a head; D model width.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from bothways.errors import CheckpointError
from bothways.model.baselines import AnyConfig
from bothways.model.heads import Head
from bothways.model.weights import Weights
from bothways.nn.baselines import build_encoder
from bothways.nn.heads import HeadModule
from bothways.nn.lengths import Lengths
from bothways.nn.packed_encoder import to_tensor

__all__ = ["Batch", "TrainedModel"]

TIED_TO = "embedding.token.weight"
"""The parameter of the encoder to which a head's output may be tied."""


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """A `PreparedBatch` on the device of the model."""

    values: Tensor
    lengths: Lengths
    segments: Tensor | None
    targets: Mapping[str, Tensor]


class TrainedModel(nn.Module):
    """An encoder, and a head where the objective has one.

    encoder: whatever `encoder(values, lengths, segments)` gives `(x_TD,)`, the vectors of each
        token, first of all of; for a head tied to embeddings it has `embedding.token.weight`.
    """

    def __init__(self, encoder: nn.Module, head: HeadModule | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    @classmethod
    def build(
        cls,
        config: AnyConfig,
        weights: Weights,
        head: Head | None = None,
        head_weights: Weights | None = None,
        *,
        seed: int = 0,
    ) -> Self:
        """An encoder with these weights, and a head with these, or fresh ones from the seed.

        weights: exactly those of the config's layout. head_weights: of those that `head_layout`
            names; what is not among them is fresh.

        Raises:
            CheckpointError: if a weight is not of the shape that config or head say.
        """
        encoder = build_encoder(config)
        encoder.load_weights(weights)
        if head is None:
            return cls(encoder)
        model = cls(encoder, HeadModule(head, config, seed=seed))
        model.load_weights(head_weights or {})
        return model

    def forward(self, batch: Batch, chosen_N: Tensor | None = None) -> Tensor:
        """The head's outputs (N, O) for sequences or positions; the vectors (T, D) without a head.

        chosen_N: the tokens whose outputs are wanted of a head on positions; None for all.
        """
        (x_TD,) = self.encoder(batch.values, batch.lengths, batch.segments)
        if self.head is None:
            return cast(Tensor, x_TD)
        tied = any(layer.tied for layer in self.head.head.layers)
        table_VE = self.encoder.get_parameter(TIED_TO) if tied else None
        return cast(Tensor, self.head(x_TD, batch.lengths, table_VE, chosen_N))

    def named_weights(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Every parameter under its name in a model file: of `layout` and of `head_layout`."""
        yield from self.encoder.named_parameters()
        if self.head is not None:
            yield from self.head.named_parameters()

    def to_weights(self) -> dict[str, np.ndarray]:
        """Copies of all weights as float32 arrays, under the names of a model file.

        They are as they are trained: `Objective.to_folder` makes of them what a folder keeps.
        """
        return {
            name: parameter.detach().to("cpu", torch.float32, copy=True).numpy()
            for name, parameter in self.named_weights()
        }

    def load_weights(self, weights: Weights) -> None:
        """Copy in weights by their names in a model file; those that are not given stay.

        Raises:
            CheckpointError: if one is not the model's, or not of its shape.
        """
        parameters = dict(self.named_weights())
        for name, array in weights.items():
            if name not in parameters:
                raise CheckpointError(f"weight {name!r} is unexpected; the model has none")
            if array.shape != tuple(parameters[name].shape):
                raise CheckpointError(
                    f"weight {name!r} has shape {array.shape}; "
                    f"the model's is {tuple(parameters[name].shape)}"
                )
            with torch.no_grad():
                parameters[name].copy_(to_tensor(array))

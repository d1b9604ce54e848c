"""The model that is trained: an encoder and a task head.

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

__all__ = ["Batch", "MergedWindows", "TrainedModel"]

TIED_TO = "embedding.token.weight"
"""The encoder parameter that a head's output layer may be tied to."""


@dataclasses.dataclass(frozen=True, eq=False)
class MergedWindows:
    """How the vectors of windows become those of whole sequences, as tensors.

    index: the position that each token adds to, (T,). shares: of the token in its vector, (T,).
    lengths: of the whole sequences.
    """

    index: Tensor
    shares: Tensor
    lengths: Lengths

    def merge(self, x_TD: Tensor) -> Tensor:
        """The vectors of all positions of the whole sequences, end to end."""
        merged = x_TD.new_zeros(self.lengths.num_tokens, x_TD.shape[1])
        return merged.index_add(0, self.index, x_TD * self.shares[:, None].to(x_TD.dtype))


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """A `PreparedBatch` as tensors on the model's device."""

    values: Tensor
    lengths: Lengths
    segments: Tensor | None
    targets: Mapping[str, Tensor]
    windows: MergedWindows | None = None


class TrainedModel(nn.Module):
    """An encoder, and a head if the objective has one.

    encoder: a module whose `encoder(values, lengths, segments)` returns `(x_TD,)`, the vector of
        each token. For a head tied to the embeddings it has `embedding.token.weight`.
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
        """Build the model from weights; missing head weights are initialized from the seed.

        weights: exactly those of the config's layout. head_weights: any of those in `head_layout`.

        Raises:
            CheckpointError: if a weight does not have the shape that the config or head requires.
        """
        encoder = build_encoder(config)
        encoder.load_weights(weights)
        if head is None:
            return cls(encoder)
        model = cls(encoder, HeadModule(head, config, seed=seed))
        model.load_weights(head_weights or {})
        return model

    def forward(self, batch: Batch, index_N: Tensor | None = None) -> Tensor:
        """The head's outputs (N, O) for sequences or positions; without a head the vectors (T, D).

        index_N: the positions to compute outputs for, for a head on positions; None for all.
        """
        (x_TD,) = self.encoder(batch.values, batch.lengths, batch.segments)
        lengths = batch.lengths
        if batch.windows is not None:
            x_TD, lengths = batch.windows.merge(x_TD), batch.windows.lengths
        if self.head is None:
            return cast(Tensor, x_TD)
        tied = any(layer.tied for layer in self.head.head.layers)
        table_VE = self.encoder.get_parameter(TIED_TO) if tied else None
        return cast(Tensor, self.head(x_TD, lengths, table_VE, index_N))

    def named_weights(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Every parameter with its name in a model file, as in `layout` and `head_layout`."""
        yield from self.encoder.named_parameters()
        if self.head is not None:
            yield from self.head.named_parameters()

    def to_weights(self) -> dict[str, np.ndarray]:
        """Copies of all weights as float32 arrays, by their names in a model file.

        They are in the units of training; `Objective.to_folder` converts them to those of a folder.
        """
        return {
            name: parameter.detach().to("cpu", torch.float32, copy=True).numpy()
            for name, parameter in self.named_weights()
        }

    def load_weights(self, weights: Weights) -> None:
        """Copy weights into the model by their names in a model file; the others stay unchanged.

        Raises:
            CheckpointError: for an unknown weight, or one of the wrong shape.
        """
        parameters = dict(self.named_weights())
        for name, array in weights.items():
            if name not in parameters:
                raise CheckpointError(f"unexpected weight {name!r}: the model has no such weight")
            if array.shape != tuple(parameters[name].shape):
                raise CheckpointError(
                    f"weight {name!r} has shape {array.shape}; "
                    f"the model's is {tuple(parameters[name].shape)}"
                )
            with torch.no_grad():
                parameters[name].copy_(to_tensor(array))

"""From examples to packed batches, and from tensors to the arrays that validation keeps."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bothways.model.packing import PackedBatch
from bothways.training.data.dataset import Example, InputSequence

__all__ = ["at_least_float32", "pack", "stack_targets", "to_array"]


def pack(pieces: Sequence[InputSequence]) -> PackedBatch:
    """Sequences end to end, in the order given."""
    return PackedBatch.of([piece.values for piece in pieces], [piece.segments for piece in pieces])


def stack_targets(examples: Sequence[Example]) -> np.ndarray:
    """The targets of examples of one shape, a row each.

    Raises:
        ValueError: if an example has none: the data was made for another objective.
    """
    targets = [example.target for example in examples if example.target is not None]
    if len(targets) != len(examples):
        raise ValueError("an example has no target")
    return np.stack(targets)


def at_least_float32(outputs: Tensor) -> Tensor:
    """Outputs of half precision in float32, in which losses are computed."""
    return outputs.to(torch.promote_types(outputs.dtype, torch.float32))


def to_array(tensor: Tensor) -> np.ndarray:
    """A copy on the CPU, without history."""
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array

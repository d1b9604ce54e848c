"""Conversions: examples to packed batches and targets, and tensors to arrays."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bothways.model.packing import PackedBatch
from bothways.training.data.dataset import Example, InputSequence

__all__ = ["at_least_float32", "pack", "pack_windows", "stack_targets", "to_array"]


def pack(sequences: Sequence[InputSequence]) -> PackedBatch:
    """Pack sequences end to end, in the order given."""
    return PackedBatch.of(
        [sequence.values for sequence in sequences],
        [sequence.segments for sequence in sequences],
        [_content(sequence) for sequence in sequences],
    )


def pack_windows(examples: Sequence[Example]) -> PackedBatch:
    """Pack the windows of examples end to end; a whole sequence is one window."""
    return pack([sequence for example in examples for sequence in example.sequences])


def _content(sequence: InputSequence) -> np.ndarray:
    is_content = np.zeros(len(sequence.values), dtype=bool)
    is_content[sequence.content] = True
    return is_content


def stack_targets(examples: Sequence[Example]) -> np.ndarray:
    """Stack the targets of examples, one row each.

    Raises:
        ValueError: if an example has no target, because the data is for another objective.
    """
    targets = [example.target for example in examples if example.target is not None]
    if len(targets) != len(examples):
        raise ValueError("an example has no target")
    return np.stack(targets)


def at_least_float32(outputs: Tensor) -> Tensor:
    """Convert half-precision outputs to float32, in which losses are computed."""
    return outputs.to(torch.promote_types(outputs.dtype, torch.float32))


def to_array(tensor: Tensor) -> np.ndarray:
    """Copy a tensor to the CPU, as an array."""
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array

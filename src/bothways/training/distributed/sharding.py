"""Weights that are spread over processes: each keeps a share of every one (FSDP2).

What torch has for it takes as long to import as half of torch, so `shard` alone imports it; until
then nothing can be spread.
"""

import sys
from typing import TYPE_CHECKING, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn

from bothways.nn.encoder import TransformerEncoder
from bothways.nn.packed_encoder import to_tensor
from bothways.training.model import TrainedModel

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor

__all__ = [
    "copy_array_into",
    "postpone_reduction",
    "reshard",
    "shard",
    "to_full_array",
    "to_full_tensor",
]


def shard(model: TrainedModel) -> None:
    """Spread the weights over all processes; a block's are gathered while it computes.

    Gradients are summed over processes, not averaged: losses are sums.
    """
    from torch.distributed.fsdp import fully_shard

    encoder = model.encoder
    if isinstance(encoder, TransformerEncoder) and (
        encoder.config.num_blocks == encoder.config.num_layers
    ):  # blocks that several layers share stay with the rest: they are gathered once
        for block in encoder.blocks:
            fully_shard(block)
    fully_shard(model)
    for module in model.modules():
        if _is_sharded(module):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)  # all that gloo has


def postpone_reduction(model: TrainedModel, *, postponed: bool) -> None:
    """Whether the next backward passes leave their gradients on this process, to be reduced later.

    Of a model that is not sharded nothing is reduced during the backward pass anyway.
    """
    if _is_sharded(model):
        model.set_requires_gradient_sync(not postponed)


def reshard(model: TrainedModel) -> None:
    """Give up the weights that a forward pass has gathered, where no backward pass will.

    Until then the model's parameters are not those that the optimizer and the gradients belong to.
    """
    if _is_sharded(model):
        model.reshard()


def to_full_tensor(total: Tensor) -> Tensor:
    """A number that was computed from shares, as every process knows it in the end."""
    return total.full_tensor() if _is_share(total) else total


def to_full_array(tensor: Tensor) -> np.ndarray:
    """The whole of a tensor as a float32 array, on its own memory where that can be.

    Every process calls it.
    """
    if _is_share(tensor):
        tensor = tensor.full_tensor()
    array: np.ndarray = tensor.detach().to("cpu", torch.float32).numpy()
    return array


@torch.no_grad()
def copy_array_into(tensor: Tensor, array: np.ndarray) -> None:
    """Copy the whole of an array into a tensor, of which this process may keep a share."""
    given = to_tensor(array).to(tensor.device)
    if _is_share(tensor):
        from torch.distributed.tensor import distribute_tensor

        spread = distribute_tensor(given, tensor.device_mesh, tensor.placements)
        tensor.to_local().copy_(spread.to_local())
    else:
        tensor.copy_(given)


def _is_sharded(module: nn.Module) -> "TypeGuard[FSDPModule]":
    fsdp = sys.modules.get("torch.distributed.fsdp")
    return fsdp is not None and isinstance(module, fsdp.FSDPModule)


def _is_share(tensor: Tensor) -> "TypeGuard[DTensor]":
    """Whether it stands for a tensor of which each process has a share."""
    spread = sys.modules.get("torch.distributed.tensor")
    return spread is not None and isinstance(tensor, spread.DTensor)

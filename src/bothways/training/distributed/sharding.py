"""Sharded weights: each process keeps a shard of every weight (FSDP2).

torch's FSDP takes as long to import as half of torch, so only `shard` imports it; before that, no
weight can be sharded.
"""

import sys
from typing import TYPE_CHECKING, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn

from bothways.errors import BackendError
from bothways.nn.encoder import TransformerEncoder
from bothways.nn.packed_encoder import to_tensor
from bothways.training.model import TrainedModel

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor

__all__ = [
    "copy_array_into",
    "reshard",
    "set_gradient_sync",
    "shard",
    "to_full_array",
    "to_full_tensor",
]


def shard(model: TrainedModel) -> None:
    """Shard the weights over all processes; a block's weights are gathered while it computes.

    Gradients are summed over processes, not averaged, because losses are sums.

    Raises:
        BackendError: if torch is too old to sum gradients.
    """
    from torch.distributed.fsdp import FSDPModule, fully_shard

    if not hasattr(FSDPModule, "set_force_sum_reduction_for_comms"):
        raise BackendError(
            f"the FSDP of torch {torch.__version__} cannot sum gradients, as sharded weights need: "
            "update torch, or train with --sharding replicated"
        )
    encoder = model.encoder
    if isinstance(encoder, TransformerEncoder) and (
        encoder.config.num_blocks == encoder.config.num_layers
    ):  # blocks shared by layers stay with the rest: they are gathered once
        for block in encoder.blocks:
            fully_shard(block)
    fully_shard(model)
    for module in model.modules():
        if _is_sharded(module):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)  # gloo supports nothing else


def set_gradient_sync(model: TrainedModel, *, enabled: bool) -> None:
    """Choose whether the next backward passes of a sharded model reduce gradients over processes.

    The backward passes of other models never do.
    """
    if _is_sharded(model):
        model.set_requires_gradient_sync(enabled)


def reshard(model: TrainedModel) -> None:
    """Free the weights that a forward pass gathered, if no backward pass follows.

    Until then the model's parameters are not those of the optimizer and the gradients.
    """
    if _is_sharded(model):
        model.reshard()


def to_full_tensor(tensor: Tensor) -> Tensor:
    """The full tensor on every process, gathered if it is sharded."""
    return tensor.full_tensor() if _is_shard(tensor) else tensor


def to_full_array(tensor: Tensor) -> np.ndarray:
    """The full tensor as a float32 array, which shares the tensor's memory if possible.

    Every process must call this.
    """
    if _is_shard(tensor):
        tensor = tensor.full_tensor()
    array: np.ndarray = tensor.detach().to("cpu", torch.float32).numpy()
    return array


@torch.no_grad()
def copy_array_into(tensor: Tensor, array: np.ndarray) -> None:
    """Copy a full array into a tensor, of which this process may keep only a shard."""
    full = to_tensor(array).to(tensor.device)
    if _is_shard(tensor):
        from torch.distributed.tensor import distribute_tensor

        sharded = distribute_tensor(full, tensor.device_mesh, tensor.placements)
        tensor.to_local().copy_(sharded.to_local())
    else:
        tensor.copy_(full)


def _is_sharded(module: nn.Module) -> "TypeGuard[FSDPModule]":
    fsdp = sys.modules.get("torch.distributed.fsdp")
    return fsdp is not None and isinstance(module, fsdp.FSDPModule)


def _is_shard(tensor: Tensor) -> "TypeGuard[DTensor]":
    """Whether a tensor is sharded over processes."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)

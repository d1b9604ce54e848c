"""torch tensors, for the calls that return them: the only file here that imports torch."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bothways.errors import MissingExtra

if TYPE_CHECKING:
    import torch

__all__ = ["as_tensor", "import_torch", "is_tensor"]


def import_torch(purpose: str) -> Any:
    """The module torch.

    purpose: the argument or call that gives tensors, for the message.

    Raises:
        MissingExtra: if torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("torch", f"{purpose}, which gives tensors,") from error
    return torch


def is_tensor(value: Any) -> bool:
    """Whether a value is a torch tensor, without importing torch."""
    return hasattr(value, "detach") and type(value).__module__.startswith("torch")


def as_tensor(array: np.ndarray, device: str, purpose: str) -> "torch.Tensor":
    """An array as a tensor on a device.

    Raises:
        MissingExtra: if torch is not installed.
    """
    tensor: torch.Tensor = import_torch(purpose).from_numpy(np.ascontiguousarray(array)).to(device)
    return tensor

"""AdamW with weight decay on matrices only, and its state as arrays."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import nn

from bothways.errors import CheckpointError
from bothways.training.distributed.sharding import copy_array_into, to_full_array
from bothways.training.resolved_settings import ResolvedSettings

__all__ = ["load_moments", "make_optimizer", "moments", "set_learning_rate"]

_MOMENTS = ("exp_avg", "exp_avg_sq")
_STEP = "step"


def make_optimizer(model: nn.Module, settings: ResolvedSettings) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019, algorithm 2) on the model's trainable parameters.

    Only the matrices of linear layers decay. Biases and norm weights do not, as in BERT's released
    code. Embedding tables do not either: a row without gradient, because its token is not in the
    step, would only shrink, and rows of rare tokens would shrink most.
    """
    decaying: list[nn.Parameter] = []
    not_decaying: list[nn.Parameter] = []
    for module, parameter in _trainable(model):
        is_matrix = parameter.ndim > 1 and not isinstance(module, nn.Embedding)
        (decaying if is_matrix else not_decaying).append(parameter)
    groups = [
        {"params": decaying, "weight_decay": settings.weight_decay},
        {"params": not_decaying, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=0.0,  # `set_learning_rate` sets it at each step
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
        fused=True,  # one pass over the weights instead of ten
    )


def set_learning_rate(optimizer: torch.optim.AdamW, rate: float) -> None:
    """Set the learning rate of the next update."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def moments(
    optimizer: torch.optim.AdamW, parameters: Mapping[str, nn.Parameter]
) -> dict[str, np.ndarray]:
    """The optimizer's state as arrays, named `{weight}.{state}`.

    Every process must call this: it gathers shards.
    """
    arrays = {}
    for name, parameter in parameters.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            arrays[f"{name}.{key}"] = np.atleast_1d(to_full_array(value))
    return arrays


def load_moments(
    optimizer: torch.optim.AdamW,
    parameters: Mapping[str, nn.Parameter],
    arrays: Mapping[str, np.ndarray],
) -> None:
    """Restore the optimizer's state from the arrays of `moments`.

    Raises:
        CheckpointError: if the state of a weight is missing or has the wrong shape.
    """
    for name, parameter in parameters.items():
        if not parameter.requires_grad:
            continue
        state: dict[str, torch.Tensor] = {}
        for key in _MOMENTS:
            array = arrays.get(f"{name}.{key}")
            if array is None or array.shape != tuple(parameter.shape):
                raise CheckpointError(
                    f"optimizer state {key!r} of weight {name!r} is missing or misshapen"
                )
            state[key] = torch.zeros_like(parameter, requires_grad=False)
            copy_array_into(state[key], array)
        step = float(arrays[f"{name}.{_STEP}"][0])
        state[_STEP] = torch.tensor(step, device=parameter.device)
        optimizer.state[parameter] = state


def _trainable(model: nn.Module) -> Iterator[tuple[nn.Module, nn.Parameter]]:
    """Yield each parameter once, with its module."""
    seen = set()
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if parameter.requires_grad and parameter not in seen:
                seen.add(parameter)
                yield module, parameter

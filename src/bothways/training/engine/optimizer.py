"""AdamW, with weight decay where it means something."""

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

    The matrices of linear maps decay. Biases and the gains of norms do not, as in BERT's released
    code; nor do tables of embeddings: a row whose token a step does not contain has no gradient
    there, and would only shrink, the rarer its token the more.
    """
    decaying: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for module, parameter in _trainable(model):
        is_matrix = parameter.ndim > 1 and not isinstance(module, nn.Embedding)
        (decaying if is_matrix else kept).append(parameter)
    groups = [
        {"params": decaying, "weight_decay": settings.weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=0.0,  # `set_learning_rate` says, step by step
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
        fused=True,  # one pass over the weights; the others take ten
    )


def set_learning_rate(optimizer: torch.optim.AdamW, rate: float) -> None:
    """Let the next update be made with this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def moments(
    optimizer: torch.optim.AdamW, parameters: Mapping[str, nn.Parameter]
) -> dict[str, np.ndarray]:
    """The optimizer's state as arrays, under `{name of the weight}.{name of the state}`.

    Every process calls it: shards are put together.
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
    """Give the optimizer the state that `moments` took.

    Raises:
        CheckpointError: if a weight has no state there, or of another shape.
    """
    for name, parameter in parameters.items():
        if not parameter.requires_grad:
            continue
        state: dict[str, torch.Tensor] = {}
        for key in _MOMENTS:
            array = arrays.get(f"{name}.{key}")
            if array is None or array.shape != tuple(parameter.shape):
                raise CheckpointError(f"no state {key!r} of the shape of weight {name!r}")
            state[key] = torch.zeros_like(parameter, requires_grad=False)
            copy_array_into(state[key], array)
        step = float(arrays[f"{name}.{_STEP}"][0])
        state[_STEP] = torch.tensor(step, device=parameter.device)
        optimizer.state[parameter] = state


def _trainable(model: nn.Module) -> Iterator[tuple[nn.Module, nn.Parameter]]:
    """Each parameter once, with the module that it belongs to."""
    seen = set()
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if parameter.requires_grad and parameter not in seen:
                seen.add(parameter)
                yield module, parameter

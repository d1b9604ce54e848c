"""AdamW with weight decay on matrices only, lower rates for lower layers, and its state."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import nn

from bothways.errors import CheckpointError
from bothways.nn.encoder import TransformerEncoder
from bothways.training.distributed.sharding import copy_array_into, to_full_array
from bothways.training.resolved_settings import ResolvedSettings

__all__ = ["load_moments", "make_optimizer", "moments", "set_learning_rate"]

_MOMENTS = ("exp_avg", "exp_avg_sq")
_STEP = "step"
_SHARE = "share_of_rate"


def make_optimizer(model: nn.Module, settings: ResolvedSettings) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019, algorithm 2) on the model's trainable parameters.

    Only the matrices of linear layers decay. Biases and norm weights do not, as in BERT's released
    code. Embedding tables do not either: a row without gradient, because its token is not in the
    step, would only shrink, and rows of rare tokens would shrink most.

    Each layer's learning rate is `settings.layer_decay` times that of the layer above it; the last
    layer and the head have the full rate, and the embeddings the lowest (Howard and Ruder 2018,
    section 3.2, "discriminative fine-tuning"; Clark et al. 2020, appendix B).
    """
    shares = _rate_shares(model, settings.layer_decay)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for module, parameter in _trainable(model):
        is_matrix = parameter.ndim > 1 and not isinstance(module, nn.Embedding)
        weight_decay = settings.weight_decay if is_matrix else 0.0
        groups.setdefault((shares.get(parameter, 1.0), weight_decay), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": weight_decay, _SHARE: share}
            for (share, weight_decay), parameters in groups.items()
        ],
        lr=0.0,  # `set_learning_rate` sets it at each step
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
        fused=True,  # one pass over the weights instead of ten
    )


def set_learning_rate(optimizer: torch.optim.AdamW, rate: float) -> None:
    """Set the learning rate of the next update, that of the last layer and the head."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group[_SHARE]


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


def _rate_shares(model: nn.Module, layer_decay: float) -> dict[nn.Parameter, float]:
    """The learning rate of each parameter of the embeddings and blocks, relative to the head's.

    Blocks that several layers share have the rate of the first of them.
    """
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, TransformerEncoder) or layer_decay == 1:
        return {}
    config = encoder.config
    shares: dict[nn.Parameter, float] = {}
    for layer in reversed(range(config.num_layers)):
        share = layer_decay ** (config.num_layers - 1 - layer)
        shares |= dict.fromkeys(encoder.blocks[config.block(layer)].parameters(), share)
    lowest = layer_decay**config.num_layers
    shares |= dict.fromkeys(encoder.embedding.parameters(), lowest)
    for module in (encoder.relative_bias, encoder.relative_embedding, encoder.relative_norm):
        if module is not None:
            shares |= dict.fromkeys(module.parameters(), lowest)
    return shares

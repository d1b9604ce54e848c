"""The elementary layers: linear maps, norms and activations.

T tokens of all sequences end to end; I inputs and O outputs of a linear map; D the width of a norm.
"""

from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional

from bothways.model.activations import AnyActivation
from bothways.model.config import Activation, EncoderConfig
from bothways.nn.onednn import has_onednn, linear


class Linear(nn.Linear):
    """x Wᵀ + b, followed by an optional activation.

    For inference on a CPU, `pack` stores the matrix in the layout of oneDNN's kernels. If torch's
    BLAS is not tuned for the processor these are about twice as fast, and they apply the activation
    while the results are in the cache.
    """

    _packed: Tensor | None = None

    def forward(self, x_TI: Tensor, activation: Activation | None = None) -> Tensor:
        """Map (T, I) to (T, O)."""
        if self._packed is not None:
            name, algorithm = _fused(activation)
            packed_TO: Tensor = torch.ops.mkldnn._linear_pointwise(
                x_TI, self._packed, self.bias, name, [], algorithm
            )
            return packed_TO
        y_TO = linear(x_TI, self.weight, self.bias)
        return y_TO if activation is None else activate(y_TO, activation)

    def pack(self, weight_OI: Tensor) -> None:
        """Replace the parameter by `weight_OI`, packed. Only inference is possible afterwards."""
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight_OI)
        del self.weight


def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether `Linear.pack` is available: float32 on a CPU, with a torch built with oneDNN."""
    return device.type == "cpu" and dtype == torch.float32 and has_onednn()


class LayerNorm(nn.LayerNorm):
    """Layer norm (Ba et al. 2016, eq. 4), with gains that may be stored less 1."""

    zero_centered: bool = False

    def forward(self, x: Tensor) -> Tensor:
        """Normalize the last axis."""
        gain = 1 + self.weight if self.zero_centered else self.weight
        return functional.layer_norm(x, self.normalized_shape, gain, self.bias, self.eps)


class RMSNorm(nn.RMSNorm):
    """RMS norm (Zhang and Sennrich 2019, eq. 4), with gains that may be stored less 1."""

    zero_centered: bool = False

    def forward(self, x: Tensor) -> Tensor:
        """Normalize the last axis."""
        gain = 1 + self.weight if self.zero_centered else self.weight
        return functional.rms_norm(x, self.normalized_shape, gain, self.eps)


def make_norm(config: EncoderConfig, width: int, *, bias: bool = True) -> nn.Module:
    """The norm of `config` for vectors of `width`, without a bias where `bias` is false.

    torch accumulates in float32 even if the vectors are in half precision.
    """
    match config.norm:
        case "layer":
            norm: LayerNorm | RMSNorm = LayerNorm(
                width, config.norm_eps, bias=bias and config.norm_bias
            )
        case "rms":
            norm = RMSNorm(width, config.norm_eps)
        case unknown:
            assert_never(unknown)
    norm.zero_centered = config.norm_zero_centered
    return norm


def activate(x: Tensor, activation: AnyActivation) -> Tensor:
    """The nonlinearity of a layer, element by element; `reference.activate` has the formulas."""
    match activation:
        case "identity":
            return x
        case "tanh":
            return torch.tanh(x)
        case "sigmoid":
            return torch.sigmoid(x)
        case "relu":
            return functional.relu(x)
        case "gelu":
            return functional.gelu(x)
        case "gelu_tanh":
            return functional.gelu(x, approximate="tanh")
        case "silu":
            return functional.silu(x)
        case unknown:
            assert_never(unknown)


def _fused(activation: Activation | None) -> tuple[str, str]:
    """oneDNN's name for an activation, and its algorithm."""
    match activation:
        case None:
            return "none", ""
        case "relu":
            return "relu", ""
        case "gelu":
            return "gelu", "none"
        case "gelu_tanh":
            return "gelu", "tanh"
        case "silu":
            return "swish", ""
        case unknown:
            assert_never(unknown)

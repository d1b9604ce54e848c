"""x Wᵀ + b and its gradients by oneDNN's kernels, for training on a CPU.

torch's own matrix product calls the BLAS that it was built with. If that is not tuned for the
processor, oneDNN's kernels, which are generated for it at run time, are about twice as fast.
T tokens; I inputs and O outputs of a linear map.
"""

import functools
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional

__all__ = ["has_onednn", "linear"]


def linear(x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
    """x Wᵀ + b, (T, O), equal to `torch.nn.functional.linear` up to rounding.

    With oneDNN there is no second derivative.
    """
    if _is_supported(x_TI, weight_OI, bias_O):
        return cast(Tensor, _Linear.apply(x_TI, weight_OI, bias_O))  # type: ignore[no-untyped-call]
    return functional.linear(x_TI, weight_OI, bias_O)


@functools.cache
def has_onednn() -> bool:
    """Whether torch was built with oneDNN and has the operators that bothways calls."""
    return (
        bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    )


def _is_supported(*tensors: Tensor | None) -> bool:
    """Whether oneDNN supports these tensors: non-empty float32 matrices on a CPU."""
    return (
        has_onednn()
        and not torch.compiler.is_compiling()  # or exporting: others lack these operators
        and not torch.is_autocast_enabled("cpu")
        and all(
            x.device.type == "cpu" and x.dtype == torch.float32 and x.numel() > 0
            for x in tensors
            if x is not None
        )
        and tensors[0] is not None
        and tensors[0].ndim == 2
    )


class _Linear(torch.autograd.Function):
    """The product as a node of the autograd graph."""

    @staticmethod
    def forward(ctx: FunctionCtx, x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
        """x Wᵀ + b."""
        x_TI = x_TI.contiguous()
        ctx.save_for_backward(x_TI, weight_OI)
        return _product(x_TI, weight_OI, bias_O)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_TO: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of x, W and b."""
        x_TI, weight_OI = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        grad_TO = grad_TO.contiguous()
        grad_x_TI = grad_weight_OI = grad_bias_O = None
        if needs_x:
            grad_x_TI = _product(grad_TO, weight_OI.t(), None)
        if needs_weight:
            grad_weight_OI = _product(grad_TO.t(), x_TI.t(), None)
        if needs_bias:
            grad_bias_O = grad_TO.sum(0)
        return grad_x_TI, grad_weight_OI, grad_bias_O


def _product(x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
    y_TO: Tensor = torch.ops.mkldnn._linear_pointwise(x_TI, weight_OI, bias_O, "none", [], "")
    return y_TO

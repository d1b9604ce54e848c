"""Count the operations of an encoder, and how many of them are sequential, while it runs.

Vaswani et al. 2017, section 4, compare layers by these two numbers and by path length.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry
from torch.utils.weak import WeakTensorKeyDictionary

from bothways.nn.lengths import Lengths

__all__ = ["OperationCount", "count_operations"]


class OperationCount(NamedTuple):
    """The cost of a computation.

    operations: additions and multiplications in matrix products, which are nearly all operations.
    sequential: tensor operations in the longest chain in which each one needs the result of the
        previous one; independent operations could run in parallel.
    """

    operations: int
    sequential: int


def count_operations(encoder: nn.Module, values: Tensor, lengths: Lengths) -> OperationCount:
    """Run a copy of the encoder on a packed batch, without gradients, and count.

    It runs in double precision and with unfused attention, because operations inside fused kernels
    cannot be counted.
    """
    copied = copy.deepcopy(encoder).double().eval()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), _CountingMode() as counter:
        copied(values, lengths)
    return OperationCount(counter.operations, counter.longest_chain)


class _CountingMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations, and the length of the longest chain that leads to each tensor."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = self.longest_chain = 0
        self._chain_length: Any = WeakTensorKeyDictionary()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            self.operations += flop_registry[func.overloadpacket](
                *args, **(kwargs or {}), out_val=result
            )
        before = max((self._chain_length.get(t, 0) for t in _tensors((args, kwargs))), default=0)
        chain = before + (not func.is_view)  # a view of the same numbers computes nothing
        for tensor in _tensors(result):
            self._chain_length[tensor] = chain
        self.longest_chain = max(self.longest_chain, chain)
        return result


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))

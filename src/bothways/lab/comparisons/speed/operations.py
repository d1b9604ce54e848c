"""How much an encoder computes, and how much of that must wait: counted while it runs.

Vaswani et al. 2017, section 4, tell layers apart by these two and by the length of paths.
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

__all__ = ["Work", "count_work"]


class Work(NamedTuple):
    """What a computation takes.

    operations: additions and multiplications of matrix products, nearly all there are.
    sequential: operations on tensors in the longest chain of which each waits for the one before;
        what stands beside each other could be done at once.
    """

    operations: int
    sequential: int


def count_work(encoder: nn.Module, values: Tensor, lengths: Lengths) -> Work:
    """Run a copy of the encoder on a packed batch, without gradients, and count.

    In double precision, and with attention by its formula: there torch takes no fused kernels, and
    all steps are seen that those make in one call.
    """
    copied = copy.deepcopy(encoder).double().eval()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), _Counting() as counted:
        copied(values, lengths)
    return Work(counted.operations, counted.longest)


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up operations; keeps with each tensor how many, one after the other, went into it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = self.longest = 0
        self._chain_of: Any = WeakTensorKeyDictionary()

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
        before = max((self._chain_of.get(t, 0) for t in _tensors((args, kwargs))), default=0)
        chain = before + (not func.is_view)  # another view of the same numbers computes nothing
        for tensor in _tensors(result):
            self._chain_of[tensor] = chain
        self.longest = max(self.longest, chain)
        return result


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))

"""torch set up for a run, and left afterwards as it was."""

import contextlib
from collections.abc import Iterator

import torch
from torch.utils import deterministic

from bothways.io.process_memory import limit_primitive_caches

__all__ = ["torch_for_training"]


@contextlib.contextmanager
def torch_for_training(device: torch.device, threads: int | None) -> Iterator[None]:
    """Let torch compute a run on `device`, with `threads` of a CPU, the same way every time.

    On a CPU only algorithms are used that add up in a fixed order, so that a run can be repeated to
    the last bit; on a GPU some have no such twin. The state of torch's generators is given back.
    """
    fixed, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    filled = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    before = torch.get_num_threads()
    limit_primitive_caches()
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True)
        deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[] if device.type == "cpu" else [device]):
            yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(fixed, warn_only=warn_only)
        deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]

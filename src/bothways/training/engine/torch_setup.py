"""torch's global state for the time of a run: determinism, threads and random generators."""

import contextlib
from collections.abc import Iterator

import torch
from torch.utils import deterministic

from bothways.io.process_memory import limit_primitive_caches

__all__ = ["torch_for_training"]


@contextlib.contextmanager
def torch_for_training(device: torch.device, threads: int | None) -> Iterator[None]:
    """Configure torch for a reproducible run on `device`, and restore its state afterwards.

    On a CPU, only deterministic algorithms are used, so that a run can be repeated bit by bit; on a
    GPU some operations have none. threads: number of CPU threads; None for torch's setting.
    """
    deterministic_before, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    fill_before = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    threads_before = torch.get_num_threads()
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
        torch.set_num_threads(threads_before)
        torch.use_deterministic_algorithms(deterministic_before, warn_only=warn_only)
        deterministic.fill_uninitialized_memory = fill_before  # type: ignore[attr-defined]

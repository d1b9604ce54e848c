"""The number of CPU threads that torch computes with."""

import contextlib
import os
from collections.abc import Iterator

import torch

from bothways.io.cpus import available_cpus

__all__ = ["is_forked", "torch_threads"]

_is_forked = False


def _note_fork() -> None:
    global _is_forked
    _is_forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def is_forked() -> bool:
    """Whether this process was forked after this module was imported."""
    return _is_forked


@contextlib.contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Let torch use `threads` CPU threads inside the block, and restore the number after it.

    None for torch's setting, and at most the CPUs that the process may use: torch does not know of
    the CPU quota of a container. In a process that was forked after torch was imported, the number
    is 1: torch's threads do not survive a fork, and the child would wait for them forever.

    The number is global to the process: concurrent calls from several Python threads may see each
    other's. That affects their speed, not their results.
    """
    before = torch.get_num_threads()
    count = 1 if _is_forked else threads or min(before, available_cpus())
    if count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

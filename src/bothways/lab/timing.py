"""Times that can be compared: of many calls, taken in turns, so that all see the same machine."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter
from typing import TypeVar

import torch

__all__ = ["take_turns", "torch_threads"]

K = TypeVar("K")

SHORTEST = 5e-3
"""Seconds: what takes less is called several times in a turn, as the clock and the first touch of
memory would be too much of it."""


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch compute with so many threads of a CPU, and afterwards with as many as before.

    The number is one of the whole process: nothing else of torch's should run meanwhile.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def take_turns(
    calls: Mapping[K, Callable[[], object]],
    repeats: int,
    progress: Callable[[float], None] = lambda share: None,
) -> dict[K, list[float]]:
    """Seconds of each call, `repeats` times; a turn of one call follows a turn of another.

    So what else the machine does for a while is spread over all. A first turn, in which memory is
    taken and kernels are prepared, does not count.
    """
    counts = {}
    for number, (key, call) in enumerate(calls.items()):
        seconds = _seconds(call, 1)
        if seconds < 10 * SHORTEST:  # of what takes long, the first call tells enough
            seconds = _seconds(call, 1)
        counts[key] = max(1, round(SHORTEST / seconds))
        progress((number + 1) / len(calls) / (repeats + 1))
    found: dict[K, list[float]] = {key: [] for key in calls}
    for turn in range(1, repeats + 1):
        for number, (key, call) in enumerate(calls.items()):
            found[key].append(_seconds(call, counts[key]))
            progress((turn + (number + 1) / len(calls)) / (repeats + 1))
    return found


def _seconds(call: Callable[[], object], count: int) -> float:
    begun = perf_counter()
    for _ in range(count):
        call()
    return (perf_counter() - begun) / count

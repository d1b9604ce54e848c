"""Times that can be compared: of many calls, taken in turns, so that all see the same machine."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter, process_time
from typing import TypeVar

import torch

__all__ = ["take_turns", "torch_threads"]

K = TypeVar("K")

SHORTEST = 5e-3
"""Seconds: what takes less is called several times in a turn, as the clock and the first touch of
memory would be too much of it."""


UNDISTURBED = 0.95
"""Of a core, at least, for a time to be that of the call: else other processes had the core."""
ATTEMPTS = 4
"""How often a time is taken at most that was disturbed; the shortest counts."""


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

    So what else the machine does for a while is spread over all, and what is seen to be disturbed
    by it is taken again. A first turn, in which memory is taken and kernels are prepared, does not
    count.
    """
    counts = {}
    for number, (key, call) in enumerate(calls.items()):
        seconds, _ = _seconds(call, 1)
        if seconds < 10 * SHORTEST:  # of what takes long, the first call tells enough
            seconds, _ = _seconds(call, 1)
        counts[key] = max(1, round(SHORTEST / seconds))
        progress((number + 1) / len(calls) / (repeats + 1))
    found: dict[K, list[float]] = {key: [] for key in calls}
    for turn in range(1, repeats + 1):
        for number, (key, call) in enumerate(calls.items()):
            found[key].append(_undisturbed(call, counts[key]))
            progress((turn + (number + 1) / len(calls)) / (repeats + 1))
    return found


def _undisturbed(call: Callable[[], object], count: int) -> float:
    shortest = math.inf
    for _ in range(ATTEMPTS):
        seconds, cores = _seconds(call, count)
        shortest = min(shortest, seconds)
        if cores >= UNDISTURBED:
            break
    return shortest


def _seconds(call: Callable[[], object], count: int) -> tuple[float, float]:
    """How long a call takes, and how many cores this process had meanwhile."""
    begun, used = perf_counter(), process_time()
    for _ in range(count):
        call()
    seconds = perf_counter() - begun
    return seconds / count, (process_time() - used) / seconds

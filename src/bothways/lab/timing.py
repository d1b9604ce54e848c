"""Comparable timings: calls are timed in turns, so that all of them see the same machine load."""

import math
from collections.abc import Callable, Mapping
from time import perf_counter, process_time
from typing import TypeVar

__all__ = ["time_interleaved"]

K = TypeVar("K")

MIN_SECONDS = 5e-3
"""Shorter calls are repeated within a turn until the turn takes about this long: otherwise the
resolution of the clock and the first access to memory would distort the time."""

MIN_CPU_SHARE = 0.95
"""Share of a core that this process must have had; with less, other processes disturbed the
timing."""

MAX_ATTEMPTS = 4
"""How often a disturbed timing is repeated at most; the shortest time counts."""


def time_interleaved(
    calls: Mapping[K, Callable[[], object]],
    repeats: int,
    progress: Callable[[float], None] = lambda fraction: None,
) -> dict[K, list[float]]:
    """The time of each call in seconds, `repeats` times, taking turns among the calls.

    Turns spread slow phases of the machine over all calls, and disturbed timings are repeated. A
    first turn, which allocates memory and prepares kernels, does not count.
    """
    loops = {}
    for number, (key, call) in enumerate(calls.items()):
        seconds, _ = _measure(call, 1)
        if seconds < 10 * MIN_SECONDS:  # long calls are known well enough after the first
            seconds, _ = _measure(call, 1)
        loops[key] = max(1, round(MIN_SECONDS / seconds))
        progress((number + 1) / len(calls) / (repeats + 1))
    times: dict[K, list[float]] = {key: [] for key in calls}
    for turn in range(1, repeats + 1):
        for number, (key, call) in enumerate(calls.items()):
            times[key].append(_measure_undisturbed(call, loops[key]))
            progress((turn + (number + 1) / len(calls)) / (repeats + 1))
    return times


def _measure_undisturbed(call: Callable[[], object], loops: int) -> float:
    shortest = math.inf
    for _ in range(MAX_ATTEMPTS):
        seconds, cpu_share = _measure(call, loops)
        shortest = min(shortest, seconds)
        if cpu_share >= MIN_CPU_SHARE:
            break
    return shortest


def _measure(call: Callable[[], object], loops: int) -> tuple[float, float]:
    """Seconds per call, and how many cores this process used on average."""
    start, cpu_start = perf_counter(), process_time()
    for _ in range(loops):
        call()
    seconds = perf_counter() - start
    return seconds / loops, (process_time() - cpu_start) / seconds

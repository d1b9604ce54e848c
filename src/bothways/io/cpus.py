"""The number of CPUs that this process may use, and of threads that are worth using."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["OPERATIONS_PER_THREAD", "available_cpus", "cpu_quota", "threads_for"]

OPERATIONS_PER_THREAD = 400_000_000
"""Multiply-adds of a batch's forward pass from which another thread pays.

Threads wait for each other after every operation, and on a busy machine each wait costs a time
slice. On two busy cores, steps of 0.1, 2 and 210 million multiply-adds took 14, 18 and 4 times as
long with two threads as with one, and steps of 860 million 0.7 times as long.
"""


def available_cpus() -> int:
    """Number of CPUs that this process may use: its affinity, and at most its CPU quota."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def threads_for(work: int, available: int) -> int:
    """The number of threads for batches of `work` multiply-adds: from 1 to `available`."""
    return max(1, min(available, work // OPERATIONS_PER_THREAD))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The CPU quota of this process's control groups, in CPUs; None without a quota.

    Containers limit CPUs with it. Linux has two versions of control groups (kernel documentation,
    "Control Group v2", `cpu.max`, and "CFS Bandwidth Control", `cpu.cfs_quota_us`). The smallest
    quota of a group and of those above it applies.

    root: the root of the file system, for tests.
    """
    quotas = [quota for folder in _groups(root) if (quota := _read_quota(folder)) is not None]
    return min(quotas, default=None)


def _groups(root: Path) -> Iterator[Path]:
    """The folders of this process's groups and of the groups above them, for either version."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers:
            mounts = [root / "sys/fs/cgroup"]
        elif "cpu" in controllers.split(","):
            mounts = [root / "sys/fs/cgroup" / name for name in ("cpu", controllers)]
        else:
            continue
        # In a container the path may be that of the host, and the mount the group itself.
        path = PurePosixPath(group.lstrip("/"))
        parts = [part for part in (path, *path.parents) if ".." not in part.parts]
        yield from (mount / part for mount in mounts for part in parts)


def _read_quota(folder: Path) -> float | None:
    """The quota of one group, in CPUs."""
    fields = _read(folder / "cpu.max").split()
    if not fields:
        fields = [*_read(folder / "cpu.cfs_quota_us").split()]
        fields += _read(folder / "cpu.cfs_period_us").split()
    try:
        quota, period = (int(field) for field in fields)
    except ValueError:  # "max", or no such files
        return None
    return quota / period if quota > 0 and period > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

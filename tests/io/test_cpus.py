import math
import os
from pathlib import Path

import pytest

from bothways.io import cpus
from bothways.io.cpus import (
    OPERATIONS_PER_THREAD,
    available_cpus,
    cpu_quota,
    threads_for,
)


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


VERSION_1 = "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"}, 2.5),
        # The container sees the host's path, and its own group as the mount.
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/../x\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        (
            {
                "proc/self/cgroup": "0::/slice/job\n",
                "sys/fs/cgroup/slice/cpu.max": "150000 50000\n",
                "sys/fs/cgroup/slice/job/cpu.max": "400000 100000\n",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": VERSION_1,
                "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "400000\n",
                "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
        (
            {
                "proc/self/cgroup": VERSION_1,
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
        (
            {
                "proc/self/cgroup": VERSION_1,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "nonsense\n"}, None),
    ],
)
def test_the_smallest_quota_of_either_version_of_control_groups_applies(
    tmp_path: Path, files: dict[str, str], quota: float | None
) -> None:
    write(tmp_path, files)
    assert cpu_quota(tmp_path) == quota


@pytest.mark.parametrize("quota", [None, 0.2, 1.5, 10_000])
def test_the_cpus_are_those_of_the_affinity_and_at_most_the_quota_rounded_up(
    monkeypatch: pytest.MonkeyPatch, quota: float | None
) -> None:
    monkeypatch.setattr(cpus, "cpu_quota", lambda: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(48)), raising=False)
    assert available_cpus() == (48 if quota is None else min(48, math.ceil(quota)))


@pytest.mark.parametrize(("work", "threads"), [(0, 1), (1, 1), (2.5, 2), (3, 3), (1e6, 8)])
def test_small_work_gets_few_threads(work: float, threads: int) -> None:
    assert threads_for(int(work * OPERATIONS_PER_THREAD), available=8) == threads

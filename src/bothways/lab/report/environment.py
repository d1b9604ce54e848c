"""The date, machine and versions of a report, on which its numbers (above all its times) depend."""

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

from bothways.io.cpus import available_cpus

__all__ = ["describe_environment"]

_PACKAGES = ("bothways", "torch", "numpy")


def describe_environment() -> dict[str, str]:
    """Date, machine and package versions, by name."""
    facts = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "processor": f"{_processor()}, {available_cpus()} usable cores",
        "system": platform.platform(),
        "Python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }
    if hasattr(os, "getloadavg"):
        facts["load average"] = f"{os.getloadavg()[0]:.1f} (last minute)"
    return facts


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()

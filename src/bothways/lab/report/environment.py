"""Where and when a report was made: what its figures, above all its times, depend on."""

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

__all__ = ["circumstances", "usable_cores"]

_PACKAGES = ("bothways", "torch", "numpy")


def circumstances() -> dict[str, str]:
    """Date, machine and versions, by name."""
    facts = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "processor": f"{_processor()}, {usable_cores()} cores to be used",
        "system": platform.platform(),
        "Python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }
    if hasattr(os, "getloadavg"):
        facts["other load"] = f"{os.getloadavg()[0]:.1f} processes in the last minute"
    return facts


def usable_cores() -> int:
    """Cores that this process may run on, which a container may have limited."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()

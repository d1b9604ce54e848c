"""Recording of results with command, date, machine and versions: the JSON files of `results/`."""

import datetime
import importlib.metadata
import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["DISTRIBUTIONS", "RESULTS", "describe_run", "processor_slug", "use_cores", "write"]

RESULTS = Path(__file__).parent / "results"

DISTRIBUTIONS = (
    "bothways", "ctranslate2", "fastembed", "nncf", "numpy", "onnx", "onnxruntime", "openvino",
    "scikit-learn", "scipy", "sentence-transformers", "tokenizers", "torch", "transformers",
)  # fmt: skip


def use_cores(count: int) -> None:
    """Restrict this process and its children to `count` cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def describe_run(distributions: Sequence[str] = DISTRIBUTIONS) -> dict[str, Any]:
    """The command, date, machine and versions of a run; call it at the start."""
    return {
        "command": shlex.join(["python", *sys.argv]),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count(),
            "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "versions": {name: v for name in distributions if (v := _version(name)) is not None},
    }


def processor_slug(report: dict[str, Any]) -> str:
    """The processor of a run as part of a path, for results that are kept for each processor."""
    name = str(report["machine"]["processor"]).lower()
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-") or "unknown"


def write(report: dict[str, Any], output: Path | None, name: str) -> None:
    """Write a report to `output`, or to results/NAME/PROCESSOR.json."""
    path = output or RESULTS / name / f"{processor_slug(report)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"results written to {path}")


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    """The processor's name; on x86 with its family and model, as virtual machines shorten names."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor()
    fields: dict[str, str] = dict(
        re.findall(r"^([^\t:]+)\t*: (.*)$", cpuinfo.read_text(), re.MULTILINE)
    )
    if "model name" not in fields:
        return platform.processor()
    if "cpu family" not in fields:
        return fields["model name"]
    return f"{fields['model name']} (family {fields['cpu family']}, model {fields['model']})"

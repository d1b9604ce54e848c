"""`bothways doctor`: print what this machine and installation support, after trying it."""

import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import platform
from pathlib import Path
from typing import Any, get_args

import numpy as np

from bothways.cli import options as o
from bothways.cli.command import command
from bothways.inference.backends import BackendName, Precision
from bothways.io.cpus import OPERATIONS_PER_THREAD, available_cpus, cpu_quota
from bothways.io.printable import printable

__all__ = ["COMMAND", "describe", "doctor"]

_INSTRUCTION_SETS = (
    *("sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni"),
    *("avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2"),
)
"""Instruction sets that affect the speed of matrix products, as Linux spells them."""

_INT8_SPEED = {"avx512vnni": 3.3, "avx512": 2.1, "avx2": 2.2, "plain": 0.4}
"""Speed of int8 relative to fp32 by instruction set, with 56 tokens per text: figures of
`benchmarks/int8_by_isa.py` on an AMD Zen 4."""

_INT8_SCHEMES = {
    "sums32": "sums in 32 bits (sums32)",
    "sums16": "sums in 16 bits (sums16), a little less accurate",
}

_ENVIRONMENT = (
    *("BOTHWAYS_THREADS", "BOTHWAYS_ISA", "OMP_NUM_THREADS"),
    *("BOTHWAYS_CACHE", "BOTHWAYS_OFFLINE", "HF_HUB_OFFLINE"),
)
"""Environment variables that affect threads, kernels, the cache and downloads."""

_EXTRAS = {
    "torch": "torch",
    "parquet": "pyarrow",
    "plots": "matplotlib",
    "serve": "starlette",
    "sklearn": "scikit-learn",
    "onnx": "onnx",
    "tensorboard": "tensorboard",
    "hub": "huggingface_hub",
}
"""The distribution that each extra of this package installs."""


def doctor(as_json: o.AsJson = False) -> None:
    """Print what this machine and installation support.

    Prints backends, devices, instruction sets, threads and extras, after running a tiny encoder on
    each backend. The last lines name the default backend, and the reason.

    \b
        bothways doctor
        bothways doctor --json
    """
    facts = describe()
    print(json.dumps(facts, indent=2) if as_json else _page(facts))


def describe() -> dict[str, Any]:
    """Describe the machine and the installation in JSON values."""
    from bothways import __version__
    from bothways.checkpoints import cache

    backends = {name: _try_backend(name) for name in get_args(BackendName)}
    auto = backends.pop("auto")
    return {
        "bothways": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu": {
            "name": _cpu_name(),
            "cores": os.cpu_count(),
            "usable_cores": available_cpus(),
            "quota": cpu_quota(),
            "instruction_sets": _instruction_sets(),
        },
        "extras": {extra: _version(package) for extra, package in _EXTRAS.items()},
        "torch": _torch(),
        "native": _native(),
        "threads": _threads(),
        "int8": _int8(),
        "environment": {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        "cache": str(cache.root()),
        "backends": backends,
        "used": auto | {"why": _why(auto, backends)},
    }


def _try_backend(name: BackendName) -> dict[str, Any]:
    """Encode a short sequence in each precision: what was used, or why it failed."""
    results = {precision: _try_precision(name, precision) for precision in get_args(Precision)}
    working = [precision for precision, result in results.items() if not isinstance(result, str)]
    if not working:
        return {"works": False, "because": results["fp32"]}
    backend = results[working[0]]
    return {
        "works": True,
        "backend": backend.name,
        "device": backend.device,
        "precisions": working,
    }


def _try_precision(name: BackendName, precision: Precision) -> Any:
    """The backend, if it encodes a sequence, or the error message."""
    from bothways.errors import BothwaysError
    from bothways.inference.backends import create_backend
    from bothways.model.config import EncoderConfig
    from bothways.model.layout import initialize
    from bothways.model.packing import PackedBatch

    config = EncoderConfig(num_layers=1, num_heads=2, d_model=16, d_ff=32, vocab_size=8)
    try:
        backend = create_backend(name, config, initialize(config), precision=precision)
        backend.pool(PackedBatch.of([np.arange(8)]), ["mean"])
    except (
        BothwaysError,
        ImportError,
        OSError,
        RuntimeError,
    ) as error:  # includes a broken install
        return str(error)
    return backend


def _why(auto: dict[str, Any], backends: dict[str, dict[str, Any]]) -> str:
    if not auto["works"]:
        return f"{auto['because']}; --backend reference works, slowly"
    if auto["device"] != "cpu":
        return "torch sees a GPU"
    if auto["backend"] == "native":
        return "torch sees no GPU, and native is the fastest on a CPU"
    return f"native does not work here: {backends['native'].get('because', 'unknown')}"


def _torch() -> dict[str, Any] | None:
    if importlib.util.find_spec("torch") is None:
        return None
    try:
        from bothways.nn.devices import torch_build
    except (ImportError, OSError) as error:
        return {"broken": str(error)}
    return dataclasses.asdict(torch_build())


def _native() -> list[str] | None:
    """Instruction sets that the native engine can use, best first; None without the engine."""
    from bothways.native import available_isas, is_built

    return available_isas() if is_built() else None


def _threads() -> dict[str, Any] | None:
    """The default number of threads of the native engine, and why; None without the engine."""
    from bothways.errors import BackendError
    from bothways.native import default_threads, is_built

    if not is_built():
        return None
    try:
        return default_threads()._asdict()
    except BackendError as error:
        return {"number": None, "why": str(error)}


def _int8() -> dict[str, Any] | None:
    """The instruction set in use, its scheme of int8, and the measured speed relative to fp32.

    None without the engine; a ratio of None where it was not measured, and a scheme of None if the
    instruction set is not available.
    """
    from bothways.native import int8_scheme

    isas = _native()
    if isas is None:
        return None
    isa = os.environ.get("BOTHWAYS_ISA") or isas[0]
    scheme = int8_scheme(isa) if isa in isas else None
    return {"instruction_set": isa, "scheme": scheme, "speed": _INT8_SPEED.get(isa)}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    name = _cpuinfo().get("model name", "")
    return name or platform.processor() or platform.machine()


def _instruction_sets() -> list[str] | None:
    """None on systems that do not report them."""
    facts = _cpuinfo()
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    return [name for name in _INSTRUCTION_SETS if name in flags] if flags else None


def _cpuinfo() -> dict[str, str]:
    """Linux's description of the first core; empty on other systems."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    first, _, _ = path.read_text(encoding="utf-8", errors="replace").partition("\n\n")
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _page(facts: dict[str, Any]) -> str:
    cpu, torch, used = facts["cpu"], facts["torch"], facts["used"]
    sets = cpu["instruction_sets"]
    rows = [
        ("bothways", facts["bothways"]),
        ("python", f"{facts['python']} on {facts['system']}"),
        ("cpu", cpu["name"]),
        ("cores", _cores_row(cpu)),
        ("instructions", "unknown on this system" if sets is None else " ".join(sets)),
        *(
            (f"extra [{name}]", version or "not installed")
            for name, version in facts["extras"].items()
        ),
        *_torch_rows(torch, cpu["usable_cores"]),
        ("native kernels", ", ".join(facts["native"] or ["none in this build"])),
        ("native threads", _threads_row(facts["threads"])),
        ("int8", _int8_row(facts["int8"])),
        *facts["environment"].items(),
        ("model cache", facts["cache"]),
        *((f"backend {name}", _backend_row(result)) for name, result in facts["backends"].items()),
        ("used", _backend_row(used)),
        ("because", used["why"]),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {printable(value)}" for name, value in rows)


def _cores_row(cpu: dict[str, Any]) -> str:
    quota = "" if cpu["quota"] is None else f" (its CPU quota is {cpu['quota']:g} cores)"
    return f"{cpu['cores']}, of which this process may use {cpu['usable_cores']}{quota}"


def _threads_row(threads: dict[str, Any] | None) -> str:
    if threads is None:
        return "none: the native engine is not installed"
    if threads["number"] is None:
        return str(threads["why"])
    return f"{threads['number']}: {threads['why']}; --threads or BOTHWAYS_THREADS sets another"


def _int8_row(int8: dict[str, Any] | None) -> str:
    if int8 is None:
        return "needs the native engine"
    kernels, speed = f"{int8['instruction_set']} kernels", int8["speed"]
    if speed is None:
        return f"not measured with {kernels}; compare it with fp32"
    verdict = "faster" if speed > 1 else "slower"
    scheme = "" if int8["scheme"] is None else f"; {_INT8_SCHEMES[int8['scheme']]}"
    return f"{verdict} than fp32 with {kernels}: {speed:g} times its speed on Zen 4{scheme}"


def _torch_rows(torch: dict[str, Any] | None, usable_cores: int) -> list[tuple[str, str]]:
    if torch is None:
        return []
    if "broken" in torch:
        return [("torch", f"installed, but cannot be imported: {torch['broken']}")]
    millions = OPERATIONS_PER_THREAD // 1_000_000
    return [
        ("torch threads", f"{torch['threads']}, with {torch['cpu_capability']} kernels"),
        (
            "training threads",
            f"one per {millions} million multiply-adds of a step's forward pass, at most "
            f"{min(torch['threads'], usable_cores)}; --threads sets another number",
        ),
        ("GPUs", ", ".join(torch["gpus"]) or "none visible to torch"),
    ]


def _backend_row(result: dict[str, Any]) -> str:
    if not result["works"]:
        return f"no: {result['because']}"
    return f"{result['backend']} on {result['device']}, in {', '.join(result['precisions'])}"


COMMAND = command(doctor)

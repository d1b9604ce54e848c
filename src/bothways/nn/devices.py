"""The build of torch, and the devices that it finds."""

import dataclasses

import torch

from bothways.errors import BackendError

__all__ = ["TorchBuild", "has_gpu", "resolve_device", "torch_build"]


@dataclasses.dataclass(frozen=True)
class TorchBuild:
    """A build of torch on this machine.

    version: torch's version. cpu_capability: the instruction set of its CPU kernels.
    threads: number of CPU threads. gpus: names of the GPUs, in order.
    """

    version: str
    cpu_capability: str
    threads: int
    gpus: list[str]


def torch_build() -> TorchBuild:
    """Describe the installed torch and its devices."""
    return TorchBuild(
        version=torch.__version__,
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        threads=torch.get_num_threads(),
        gpus=[torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    )


def has_gpu() -> bool:
    """Whether torch has a usable GPU of NVIDIA or AMD."""
    return torch.cuda.is_available()


def resolve_device(name: str | None) -> torch.device:
    """The device that torch calls `name`: cpu, cuda, cuda:N or mps; None for a GPU if there is one.

    Raises:
        BackendError: if the name is unknown, or torch does not see the device.
    """
    if name is None:
        return torch.device("cuda" if has_gpu() else "cpu")
    kind, separator, index = name.partition(":")
    is_known = kind in ("cpu", "cuda", "mps") and index.isdecimal() == bool(separator)
    if not is_known:
        raise BackendError(f"device={name!r}: expected 'cpu', 'cuda', 'cuda:N' or 'mps'")
    if kind == "cpu":
        return torch.device("cpu")
    if kind == "mps":
        if not torch.backends.mps.is_available():
            raise BackendError(_missing(name, "no Apple GPU on this machine"))
        return torch.device("mps")
    count = torch.cuda.device_count()
    if count == 0:
        raise BackendError(_missing(name, "no GPU on this machine"))
    if count <= int(index or 0):
        raise BackendError(_missing(name, f"only cuda:0 to cuda:{count - 1} on this machine"))
    return torch.device(name)


def _missing(name: str, seen: str) -> str:
    has_support = torch.version.cuda is not None or torch.version.hip is not None
    build = "" if has_support else ", or install a build of torch for its GPU"
    return f"device={name!r}: torch {torch.__version__} sees {seen}; choose another device{build}"

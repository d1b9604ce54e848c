"""The build of torch and the devices that it finds, for display."""

import dataclasses

import torch

__all__ = ["TorchBuild", "torch_build"]


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

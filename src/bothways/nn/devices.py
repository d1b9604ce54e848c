"""What torch finds on this machine, for people to read."""

import dataclasses

import torch

__all__ = ["TorchBuild", "torch_build"]


@dataclasses.dataclass(frozen=True)
class TorchBuild:
    """version: of torch. cpu_capability: the instruction set its kernels use. threads: of a CPU.
    gpus: their names, in order.
    """

    version: str
    cpu_capability: str
    threads: int
    gpus: list[str]


def torch_build() -> TorchBuild:
    """Ask torch about itself and this machine."""
    return TorchBuild(
        version=torch.__version__,
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        threads=torch.get_num_threads(),
        gpus=[torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    )

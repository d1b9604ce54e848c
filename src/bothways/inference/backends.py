"""The interface of a backend, and the choice of one."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, assert_never, get_args

import numpy as np

from bothways.errors import BackendError, InputError, MissingExtra
from bothways.inference.options import check_count
from bothways.installation import install_command
from bothways.model.baselines import AnyConfig, BaselineConfig
from bothways.model.baselines.any_encoder import require_transformer
from bothways.model.config import EncoderShape, PoolingMode
from bothways.model.packing import PackedBatch
from bothways.model.weights import Weights

__all__ = ["Backend", "BackendName", "Precision", "create_backend"]

BackendName = Literal["auto", "native", "torch", "reference"]
Precision = Literal["fp32", "int8", "bf16", "fp16"]

_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Device files of the GPU drivers that torch supports: NVIDIA, NVIDIA under WSL, and AMD."""


class Backend(Protocol):
    """An implementation of the encoder, with its weights loaded.

    B sequences; T tokens; D model width; K pooling modes; H heads; L positions of one sequence.
    """

    name: str
    device: str
    precision: str

    @property
    def config(self) -> EncoderShape:
        """The shape of the encoder."""

    def pool(
        self, batch: PackedBatch, modes: Sequence[PoolingMode], *, skip: int = 0
    ) -> np.ndarray:
        """Pooled vectors, float32 (B, D * K), the modes side by side, from position `skip` on."""

    def hidden_states(self, batch: PackedBatch, layers: Sequence[int]) -> np.ndarray:
        """Float32 (layers, T, D); layer 0 is the embeddings, `num_layers` the last layer."""

    def attention(self, batch: PackedBatch, layers: Sequence[int]) -> np.ndarray:
        """Probabilities (layers, H, L, L) of one sequence; layer 0 is the first block."""


def create_backend(
    name: BackendName,
    config: AnyConfig,
    weights: Weights,
    *,
    precision: Precision = "fp32",
    threads: int | None = None,
    device: str | None = None,
) -> Backend:
    """Create the backend `name`, with these weights.

    `auto` chooses torch if `device` is a GPU, or is None and a GPU is available, and for baselines,
    which only torch supports; otherwise the native engine.

    threads: CPU threads; None for the backend's default. device: as torch names it: `cpu`, `cuda`,
        `cuda:1` or `mps`; None for a GPU if the backend supports one and torch sees one.

    Raises:
        InputError: if the name or precision is unknown, or `threads` is less than 1.
        BackendError: if the backend, its device or precision is not available on this machine.
        MissingExtra: if the backend is not installed.
        UnsupportedModel: if the backend does not support the encoder.
    """
    if name not in get_args(BackendName):
        raise InputError(f"backend={name!r}: expected one of {', '.join(get_args(BackendName))}")
    if precision not in get_args(Precision):
        expected = ", ".join(get_args(Precision))
        raise InputError(f"precision={precision!r}: expected one of {expected}")
    check_count("threads", threads)
    on_gpu = device is not None and device != "cpu"
    if name == "auto":
        is_baseline = isinstance(config, BaselineConfig)
        name = "torch" if is_baseline or on_gpu else _choose_backend(precision, device)
    if on_gpu and name != "torch":
        raise BackendError(
            f"device={device!r}: the {name} backend computes on the CPU; choose backend='torch', "
            "or 'auto'"
        )
    if name == "torch":
        if importlib.util.find_spec("torch") is None:
            raise MissingExtra("torch", "the torch backend")
        from bothways.nn.backend import TorchBackend

        return TorchBackend(config, weights, device=device, precision=precision, threads=threads)
    transformer = require_transformer(
        config, f"the {name} backend runs", "load it with backend='torch'"
    )
    match name:
        case "reference":
            if precision != "fp32":
                raise BackendError(f"the reference backend computes in fp32, not in {precision}")
            from bothways.reference.backend import ReferenceBackend

            return ReferenceBackend(transformer, weights)
        case "native":
            from bothways.native import NativeBackend

            return NativeBackend(transformer, weights, precision=precision, threads=threads)
        case unknown:
            assert_never(unknown)


def _choose_backend(precision: Precision, device: str | None) -> Literal["native", "torch"]:
    """torch if there is a GPU or the precision needs one; otherwise the native engine.

    device: `cpu`, or None to look for a GPU.
    """
    from bothways.native import is_built

    if precision in ("bf16", "fp16"):
        return "torch"
    if precision == "int8":  # only the native engine supports it, and it says if it is missing
        return "native"
    if is_built():
        return "torch" if device is None and _has_gpu() else "native"
    if importlib.util.find_spec("torch") is None:
        raise BackendError(
            f"neither the native engine nor torch is installed: {install_command('torch')}, or "
            "install a C++ compiler and reinstall bothways"
        )
    return "torch"


def _has_gpu() -> bool:
    # Importing torch takes seconds in a cold process, so look for a driver first.
    if importlib.util.find_spec("torch") is None:
        return False
    if sys.platform != "win32" and not any(Path(device).exists() for device in _GPU_DEVICES):
        return False
    from bothways.nn.devices import has_gpu

    return has_gpu()

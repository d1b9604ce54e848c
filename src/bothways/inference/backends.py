"""What a backend is, and which one to use."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, assert_never, get_args

import numpy as np

from bothways.errors import BackendError, InputError, MissingExtra
from bothways.model.baselines import AnyConfig, BaselineConfig
from bothways.model.baselines.any_encoder import require_transformer
from bothways.model.config import EncoderShape, PoolingMode
from bothways.model.packing import PackedBatch
from bothways.model.weights import Weights

__all__ = ["Backend", "BackendName", "Precision", "create"]

BackendName = Literal["auto", "native", "torch", "reference"]
Precision = Literal["fp32", "int8", "bf16", "fp16"]

_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""What the drivers that torch can use make: NVIDIA's, its like under Windows' Linux, and AMD's."""


class Backend(Protocol):
    """One implementation of the encoder, with weights in place.

    B sequences, T tokens, D model width, H heads, L positions of a batch of one sequence.
    """

    @property
    def config(self) -> EncoderShape:
        """Of the encoder."""

    name: str
    device: str
    precision: str

    def pool(
        self, batch: PackedBatch, modes: Sequence[PoolingMode], *, skip: int = 0
    ) -> np.ndarray:
        """Float32 (B, D · modes): the vectors of `modes` side by side, pooled from `skip` on."""

    def hidden_states(self, batch: PackedBatch, layers: Sequence[int]) -> np.ndarray:
        """Float32 (layers, T, D); 0 is the embeddings, `num_layers` the last layer."""

    def attention(self, batch: PackedBatch, layers: Sequence[int]) -> np.ndarray:
        """Probabilities (layers, H, L, L) for a batch of one sequence; 0 is the first block."""


def create(
    name: BackendName,
    config: AnyConfig,
    weights: Weights,
    *,
    precision: Precision = "fp32",
    threads: int | None = None,
) -> Backend:
    """The backend called `name`; `auto` takes torch on a GPU where there is one, and for baselines,
    which torch alone runs; the native engine otherwise.

    Raises:
        InputError: for a name, precision or number of threads that does not exist.
        BackendError: if the backend or its precision is not to be had here.
        MissingExtra: if the backend is not installed.
        UnsupportedModel: if it does not run such an encoder.
    """
    if name not in get_args(BackendName):
        raise InputError(f"backend={name!r}: expected one of {', '.join(get_args(BackendName))}")
    if precision not in get_args(Precision):
        expected = ", ".join(get_args(Precision))
        raise InputError(f"precision={precision!r}: expected one of {expected}")
    if threads is not None and threads < 1:
        raise InputError(f"threads={threads}: expected at least 1, or None for all cores")
    if name == "auto":
        name = "torch" if isinstance(config, BaselineConfig) else _best(precision)
    if name == "torch":
        if importlib.util.find_spec("torch") is None:
            raise MissingExtra("torch", "the torch backend")
        from bothways.nn.backend import TorchBackend

        return TorchBackend(config, weights, precision=precision, threads=threads)
    transformer = require_transformer(
        config, f"the {name} backend runs", "load it with backend='torch'"
    )
    match name:
        case "reference":
            if precision != "fp32":
                raise BackendError(f"the reference backend runs in fp32, not in {precision}")
            from bothways.reference.backend import ReferenceBackend

            return ReferenceBackend(transformer, weights)
        case "native":
            from bothways.native import NativeBackend

            return NativeBackend(transformer, weights, precision=precision, threads=threads)
        case unknown:
            assert_never(unknown)


def _best(precision: Precision) -> Literal["native", "torch"]:
    """torch where a GPU is at hand, or for what only a GPU does; otherwise the native engine."""
    from bothways.native import is_built

    if precision in ("bf16", "fp16"):
        return "torch"
    if precision == "int8":  # which nothing else has: where it is missing, it says so
        return "native"
    if is_built():
        return "torch" if _has_gpu() else "native"
    if importlib.util.find_spec("torch") is None:
        raise BackendError(
            "neither the native engine nor torch is installed: pip install 'bothways[torch]', or "
            "install a C++ compiler and then bothways once more"
        )
    return "torch"


def _has_gpu() -> bool:
    # Asking torch costs its import, seconds in a cold process: first see whether there is a driver.
    if importlib.util.find_spec("torch") is None:
        return False
    if sys.platform != "win32" and not any(Path(device).exists() for device in _GPU_DEVICES):
        return False
    from bothways.nn.backend import has_gpu

    return has_gpu()

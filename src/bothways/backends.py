"""What a backend is, and which one to use."""

import importlib.util
from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import numpy as np

from bothways.config import EncoderConfig, PoolingMode
from bothways.errors import BackendError, InputError, MissingExtra
from bothways.packing import PackedBatch
from bothways.weights import Weights

__all__ = ["Backend", "BackendName", "Precision", "create"]

BackendName = Literal["auto", "native", "torch", "reference"]
Precision = Literal["fp32", "int8", "bf16", "fp16"]


class Backend(Protocol):
    """One implementation of the encoder, with weights in place.

    B sequences, T tokens, D model width, H heads, L positions of a batch of one sequence.
    """

    config: EncoderConfig
    name: str
    device: str
    precision: str

    def pool(
        self, batch: PackedBatch, modes: Sequence[PoolingMode], *, skip: int = 0
    ) -> np.ndarray:
        """Float32 (B, D · modes): the pooled vectors of `modes` side by side, positions from `skip`."""

    def hidden_states(self, batch: PackedBatch, layers: Sequence[int]) -> np.ndarray:
        """Float32 (layers, T, D); 0 is the embeddings, `num_layers` the last layer."""

    def attention(self, batch: PackedBatch, layers: Sequence[int]) -> np.ndarray:
        """Probabilities (layers, H, L, L) for a batch of one sequence; 0 is the first block."""


def create(
    name: BackendName,
    config: EncoderConfig,
    weights: Weights,
    *,
    precision: Precision = "fp32",
    threads: int | None = None,
) -> Backend:
    """The backend called `name`, with these weights. `auto` takes torch, on a GPU where there is one.

    Raises:
        InputError: for a name, precision or number of threads that does not exist.
        BackendError: if the backend or its precision is not to be had here.
        MissingExtra: if the backend is not installed.
    """
    if name not in get_args(BackendName):
        raise InputError(f"backend={name!r}: expected one of {', '.join(get_args(BackendName))}")
    if precision not in get_args(Precision):
        raise InputError(f"precision={precision!r}: expected one of {', '.join(get_args(Precision))}")
    if threads is not None and threads < 1:
        raise InputError(f"threads={threads}: expected at least 1, or None for all cores")
    match name:
        case "auto" | "torch":
            if importlib.util.find_spec("torch") is None:
                raise MissingExtra("torch", "the torch backend")
            from bothways.nn.backend import TorchBackend

            return TorchBackend(config, weights, precision=precision, threads=threads)
        case "reference":
            if precision != "fp32":
                raise BackendError(f"the reference backend runs in fp32, not in {precision}")
            from bothways.reference.backend import ReferenceBackend

            return ReferenceBackend(config, weights)
        case "native":
            raise BackendError("this build has no native backend; choose 'torch' or 'reference'")

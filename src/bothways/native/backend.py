"""The native engine as a backend of `Encoder`: what runs on a CPU unless told otherwise.

B sequences, T packed tokens, D model width, H heads, L positions of one sequence.
"""

import os
from collections.abc import Sequence
from typing import Any, Literal, assert_never, get_args

import numpy as np
from jaxtyping import Float

from bothways.errors import BackendError, InputError
from bothways.model.config import EncoderConfig, PoolingMode
from bothways.model.layout import layout
from bothways.model.packing import PackedBatch, check_batch, check_skip
from bothways.model.weights import CheckedWeights, Weights
from bothways.native.positions import engine_positions

try:
    import bothways.native._engine as _engine  # so that it is what is said to be missing
except ImportError as missing:
    _MISSING: ImportError | None = missing
else:
    _MISSING = None

__all__ = ["NativeBackend", "Precision", "available_isas", "is_built"]

Precision = Literal["fp32", "int8"]


def is_built() -> bool:
    """Whether bothways was installed with its engine."""
    return _MISSING is None


def available_isas() -> list[str]:
    """Instruction sets that can run on this machine, best first.

    Raises:
        BackendError: if bothways was installed without its engine.
    """
    _require_engine()
    return _engine.isas()


class NativeBackend:
    """Encodes packed batches on the CPU.

    precision: `fp32`, or `int8`: weights in 8 bits, symmetric, with a step for each output;
        activations in 8 bits, with a step and an offset for each token and 128 inputs, quantised on
        the fly; everything else in fp32.
    threads: how many threads compute; None takes `BOTHWAYS_THREADS`, or as many as the process may
        use. Results do not depend on it.

    isa: the instruction set, one of `available_isas()`; None takes `BOTHWAYS_ISA`, or the best.

    A sequence's vectors are the same to the last bit whatever else is in the batch, wherever it
    stands there, and however many threads there are.

    Raises:
        BackendError: if bothways was installed without its engine, or for a precision, a number of
            threads or an instruction set that is not to be had here.
        CheckpointError: if the weights are not those of the config.
    """

    name = "native"
    device = "cpu"

    def __init__(
        self,
        config: EncoderConfig,
        weights: Weights,
        *,
        precision: str = "fp32",
        threads: int | None = None,
        isa: str | None = None,
    ) -> None:
        _require_engine()
        if precision not in get_args(Precision):
            known = " or ".join(get_args(Precision))
            raise BackendError(f"precision={precision!r}: the native engine computes in {known}")
        checked = CheckedWeights.of(layout(config), weights, "weights")
        positions = engine_positions(config)
        self.config = config
        self.precision: str = precision
        try:
            self._engine = _engine.Encoder(
                _engine_config(config) | positions.fields,
                {**checked, **positions.weights},
                int8=precision == "int8",
                threads=_num_threads(threads),
                isa=os.environ.get("BOTHWAYS_ISA", "") if isa is None else isa,
            )
        except ValueError as error:
            raise BackendError(f"native engine: {error}") from error

    @property
    def isa(self) -> str:
        """The instruction set in use."""
        return self._engine.isa

    @property
    def threads(self) -> int:
        """The number of threads that compute."""
        return self._engine.threads

    @property
    def packed_bytes(self) -> int:
        """Bytes of the weights as the engine keeps them, without the embedding tables."""
        return self._engine.packed_bytes

    def workspace_bytes(self, max_tokens: int) -> int:
        """The most bytes that all threads need for the activations of batches of `max_tokens`."""
        longest = min(max_tokens, self.config.max_length)
        return self._engine.workspace_bytes(max_tokens, longest)

    def pool(
        self, batch: PackedBatch, modes: Sequence[PoolingMode], *, skip: int = 0
    ) -> Float[np.ndarray, "B D"]:
        """One vector a sequence: the pooled vectors of `modes` side by side.

        Raises:
            InputError: if the encoder cannot take the batch, or `skip` leaves a sequence nothing.
        """
        values, lengths, segments = self._take(batch)
        check_skip(batch, skip)
        out = np.empty((len(lengths), self.config.d_model * len(modes)), np.float32)
        self._engine.pool(values, lengths, segments, list(modes), skip, out)
        return out

    def hidden_states(
        self, batch: PackedBatch, layers: Sequence[int]
    ) -> Float[np.ndarray, "layers T D"]:
        """Hidden states of `layers` (0 the embeddings), for every token of the batch.

        Raises:
            InputError: if the encoder cannot take the batch, or has no such layer.
        """
        values, lengths, segments = self._take(batch)
        chosen = _layers(layers, self.config.num_layers + 1)
        out = np.empty((len(chosen), len(values), self.config.d_model), np.float32)
        self._engine.hidden_states(values, lengths, segments, chosen, out)
        return out

    def attention(
        self, batch: PackedBatch, layers: Sequence[int]
    ) -> Float[np.ndarray, "layers H L L"]:
        """Attention probabilities of `layers` (0 the first block's) for a batch of one sequence.

        Raises:
            InputError: if the encoder cannot take the batch or has no such layer, or the batch
                has several sequences.
        """
        values, lengths, segments = self._take(batch)
        if len(lengths) != 1:
            raise InputError(f"attention is shown for one sequence at a time; got {len(lengths)}")
        chosen, where = np.unique(_layers(layers, self.config.num_layers), return_inverse=True)
        shape = (len(chosen), self.config.num_heads, len(values), len(values))
        out = np.empty(shape, np.float32)
        self._engine.attention(values, lengths, segments, chosen.tolist(), out)
        return out[where]

    def _take(self, batch: PackedBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        check_batch(batch, self.config)
        match self.config.input:
            case "tokens":
                dtype: type[np.generic] = np.int64
            case "vectors":
                dtype = np.float32
            case unknown:
                assert_never(unknown)
        return (
            np.ascontiguousarray(batch.values, dtype),
            np.ascontiguousarray(batch.lengths, np.int64),
            None if batch.segments is None else np.ascontiguousarray(batch.segments, np.int64),
        )


def _require_engine() -> None:
    if _MISSING is not None:
        raise BackendError(
            f"the native engine is not installed ({_MISSING}); install a C++ compiler and "
            "reinstall bothways, or choose backend='torch' or backend='reference'"
        ) from _MISSING


def _layers(layers: Sequence[int], limit: int) -> list[int]:
    chosen = [layer + limit if layer < 0 else layer for layer in layers]
    for asked, layer in zip(layers, chosen, strict=True):
        if not 0 <= layer < limit:
            raise InputError(f"layer {asked}: expected 0 to {limit - 1}")
    return chosen


def _num_threads(threads: int | None) -> int:
    if threads is None:
        setting = os.environ.get("BOTHWAYS_THREADS", "")
        if not setting:
            return (
                len(os.sched_getaffinity(0))
                if hasattr(os, "sched_getaffinity")
                else os.cpu_count() or 1
            )
        if not setting.isdecimal():
            raise BackendError(f"BOTHWAYS_THREADS={setting}: expected a whole number of at least 1")
        threads = int(setting)
    if not 1 <= threads <= 1024:
        raise BackendError(f"threads={threads}: expected 1 to 1024")
    return threads


def _engine_config(config: EncoderConfig) -> dict[str, Any]:
    """The fields the engine reads; what a field means for each layer is settled here."""
    layers = range(config.num_layers)
    same = (
        "num_layers", "num_heads", "d_model", "d_ff", "max_length", "input", "vocab_size",
        "num_channels", "num_segments", "embedding_width", "embedding_norm",
        "position_offset", "relative_buckets", "relative_max_distance", "norm", "norm_eps",
        "norm_placement", "first_attention_norm", "final_norm", "activation", "gated",
    )  # fmt: skip
    return {name: getattr(config, name) for name in same} | {
        "embedding_projection": config.embedding_size is not None,
        "rescaled_mask_token": -1
        if config.rescaled_mask_token is None
        else config.rescaled_mask_token,
        "window": [_window(config, layer) for layer in layers],
        "block": [config.block(layer) for layer in layers],
    }


def _window(config: EncoderConfig, layer: int) -> int:
    window = config.window(layer)
    return -1 if window is None else min(window, config.max_length)

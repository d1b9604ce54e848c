"""The native C++ engine as a backend of `Encoder`: the default on a CPU.

B sequences, T packed tokens, D model width, H heads, L positions of one sequence.
"""

import os
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, assert_never, get_args

import numpy as np
from jaxtyping import Float

from bothways.errors import BackendError, InputError
from bothways.io.cpus import available_cpus, cpu_quota
from bothways.model.config import EncoderConfig, PoolingMode
from bothways.model.layout import layout
from bothways.model.packing import PackedBatch, check_all_keys, check_batch, check_skip
from bothways.model.weights import CheckedWeights, Weights
from bothways.native.positions import engine_positions

try:
    # With its full name, so that the error message names the module.
    import bothways.native._engine as _engine
except ImportError as error:
    _IMPORT_ERROR: ImportError | None = error
else:
    _IMPORT_ERROR = None

__all__ = [
    "EngineErrors",
    "NativeBackend",
    "Precision",
    "available_isas",
    "choose_isa",
    "default_threads",
    "int8_scheme",
    "is_built",
    "num_threads",
    "require_engine",
]

Precision = Literal["fp32", "int8"]

MAX_THREADS = 1024
"""Threads that the engine accepts."""


def is_built() -> bool:
    """Whether this installation of bothways includes the native engine."""
    return _IMPORT_ERROR is None


def available_isas() -> list[str]:
    """Instruction sets that are available on this machine, fastest first.

    Raises:
        BackendError: if bothways was installed without the native engine.
    """
    require_engine()
    return _engine.available_isas()


def int8_scheme(isa: str | None = None) -> str:
    """The scheme of int8 on an instruction set: `sums32` or `sums16` (see `reference/int8.py`).

    isa: one of `available_isas()` (default: `BOTHWAYS_ISA`, else the fastest).

    Raises:
        BackendError: if bothways was installed without the native engine, or if the instruction
            set is not available on this machine.
    """
    require_engine()
    try:
        return _engine.int8_scheme(choose_isa(isa))
    except ValueError as error:
        raise BackendError(f"native engine: {error}") from error


class DefaultThreads(NamedTuple):
    """The number of threads of an encoder that is given none, and the reason for the number."""

    number: int
    why: str


def default_threads() -> DefaultThreads:
    """The default number of threads in this process: `BOTHWAYS_THREADS`, else one per usable CPU.

    Raises:
        BackendError: if `BOTHWAYS_THREADS` is not a number.
    """
    if setting := os.environ.get("BOTHWAYS_THREADS", ""):
        if not setting.isdecimal():
            raise BackendError(f"BOTHWAYS_THREADS={setting}: expected an integer of at least 1")
        return DefaultThreads(int(setting), "set by BOTHWAYS_THREADS")
    count, quota, cores = available_cpus(), cpu_quota(), os.cpu_count() or 1
    if count > MAX_THREADS:
        return DefaultThreads(MAX_THREADS, "the most that the engine accepts")
    if quota is not None and quota <= count:
        return DefaultThreads(count, f"the CPU quota of this process is {quota:g} cores")
    if count < cores:
        return DefaultThreads(
            count, f"one for each of the {count} cores, of {cores}, that its affinity allows"
        )
    return DefaultThreads(count, "one per core")


class NativeBackend:
    """Encodes packed batches on the CPU.

    precision: `fp32` or `int8`. In int8, weights are quantized symmetrically with one scale per
        output; activations are quantized as they are computed, by groups of inputs of a token, in
        the scheme of the instruction set (`int8_scheme`); the rest is in fp32.
    threads: number of threads (default: `BOTHWAYS_THREADS`, else the CPUs available to the
        process, within its CPU quota). Results do not depend on it.
    isa: instruction set, one of `available_isas()` (default: `BOTHWAYS_ISA`, else the fastest).

    The vectors of a sequence are the same to the last bit whatever the other sequences of the
    batch, its position among them and the number of threads. Concurrent calls run one after the
    other. A forked process starts its own threads.

    Raises:
        BackendError: if bothways was installed without the native engine, or if the precision, the
            number of threads or the instruction set is not supported on this machine; in each
            call, if the system starts no more threads (the next call tries again).
        CheckpointError: if the weights do not fit the config.
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
        require_engine()
        if precision not in get_args(Precision):
            known = " and ".join(get_args(Precision))
            raise BackendError(f"precision={precision!r}: the native engine supports {known}")
        checked = CheckedWeights.of(layout(config), weights, "weights")
        positions = engine_positions(config)
        self.config = config
        self.precision: str = precision
        try:
            self._engine = _engine.Encoder(
                _engine_config(config) | positions.fields,
                {**checked, **positions.weights},
                int8=precision == "int8",
                threads=num_threads(threads),
                isa=choose_isa(isa),
            )
        except ValueError as error:
            raise BackendError(f"native engine: {error}") from error

    @property
    def isa(self) -> str:
        """The instruction set in use."""
        return self._engine.isa

    @property
    def int8_scheme(self) -> str | None:
        """`sums32` or `sums16`, whose codes differ (see `reference/int8.py`); None in fp32."""
        return int8_scheme(self.isa) if self.precision == "int8" else None

    @property
    def threads(self) -> int:
        """The number of threads."""
        return self._engine.threads

    @property
    def packed_bytes(self) -> int:
        """Bytes of packed weights and position tables, without the embedding tables."""
        return self._engine.packed_bytes

    def workspace_bytes(self, max_tokens: int) -> int:
        """Upper bound, in bytes, of the activations of batches of `max_tokens` in all threads."""
        longest = min(max_tokens, self.config.max_length)
        return self._engine.workspace_bytes(max_tokens, longest)

    def pool(
        self, batch: PackedBatch, modes: Sequence[PoolingMode], *, skip: int = 0
    ) -> Float[np.ndarray, "B D"]:
        """Encode a batch to one vector per sequence: the poolings of `modes`, concatenated.

        Raises:
            InputError: if the batch does not fit the encoder, or a sequence has only `skip` tokens.
        """
        check_all_keys(batch)
        values, lengths, segments = self._arrays(batch)
        check_skip(batch, skip)
        content = None if batch.content is None else np.ascontiguousarray(batch.content, np.uint8)
        out = np.empty((len(lengths), self.config.d_model * len(modes)), np.float32)
        with EngineErrors():
            self._engine.pool(values, lengths, segments, content, list(modes), skip, out)
        return out

    def hidden_states(
        self, batch: PackedBatch, layers: Sequence[int]
    ) -> Float[np.ndarray, "layers T D"]:
        """Return the hidden states of `layers` for each token; layer 0 is the embeddings.

        Raises:
            InputError: if the batch does not fit the encoder, or a layer does not exist.
        """
        values, lengths, segments = self._arrays(batch)
        indices = _layer_indices(layers, self.config.num_layers + 1)
        keys = None if batch.num_keys is None else np.ascontiguousarray(batch.num_keys, np.int64)
        out = np.empty((len(indices), len(values), self.config.d_model), np.float32)
        with EngineErrors():
            self._engine.hidden_states(values, lengths, segments, indices, out, keys)
        return out

    def attention(
        self, batch: PackedBatch, layers: Sequence[int]
    ) -> Float[np.ndarray, "layers H L L"]:
        """Return the attention probabilities of `layers` for a batch of one sequence.

        Layer 0 is the first block.

        Raises:
            InputError: if the batch does not fit the encoder or has several sequences, or a layer
                does not exist.
        """
        check_all_keys(batch)
        values, lengths, segments = self._arrays(batch)
        if len(lengths) != 1:
            raise InputError(f"attention: expected a batch of one sequence, got {len(lengths)}")
        indices = _layer_indices(layers, self.config.num_layers)
        unique, inverse = np.unique(indices, return_inverse=True)
        shape = (len(unique), self.config.num_heads, len(values), len(values))
        out = np.empty(shape, np.float32)
        with EngineErrors():
            self._engine.attention(values, lengths, segments, unique.tolist(), out)
        return out[inverse]

    def _arrays(self, batch: PackedBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
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


def require_engine() -> None:
    """Check that this installation includes the native engine.

    Raises:
        BackendError: if it does not.
    """
    if _IMPORT_ERROR is not None:
        raise BackendError(
            f"the native engine is not installed ({_IMPORT_ERROR}); install a C++ compiler and "
            "reinstall bothways, or choose backend='torch' or backend='reference'"
        ) from _IMPORT_ERROR


class EngineErrors:
    """A context that turns the engine's RuntimeError, a thread that cannot be started, into a
    BackendError.
    """

    def __enter__(self) -> None: ...

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if isinstance(error, RuntimeError):
            raise BackendError(
                f"native engine: {error}; use fewer threads (threads=1 or BOTHWAYS_THREADS=1 needs "
                "no other), or raise the limit on processes (`ulimit -u`, or the container's pids "
                "limit)"
            ) from error


def _layer_indices(layers: Sequence[int], count: int) -> list[int]:
    for layer in layers:
        if not -count <= layer < count:
            raise InputError(f"layer {layer}: expected 0 to {count - 1}, or negative from the end")
    return [layer % count for layer in layers]


def choose_isa(isa: str | None) -> str:
    """The instruction set to use: as given, else `BOTHWAYS_ISA`, else "" for the fastest."""
    return os.environ.get("BOTHWAYS_ISA", "") if isa is None else isa


def num_threads(threads: int | None) -> int:
    """The number of threads to use: as given, else `BOTHWAYS_THREADS`, else the available CPUs.

    Raises:
        BackendError: if it is not 1 to 1024.
    """
    if threads is None:
        threads = default_threads().number
    if not 1 <= threads <= MAX_THREADS:
        raise BackendError(f"threads={threads}: expected 1 to {MAX_THREADS}")
    return threads


_COPIED_FIELDS = (
    *("num_layers", "num_heads", "d_model", "d_ff", "max_length"),
    *("head_width", "key_value_heads", "query_key_norm", "score_scale", "attention_direction"),
    *("input", "vocab_size", "num_channels", "num_segments"),
    *("embedding_width", "embedding_scale", "embedding_norm"),
    *("position_offset", "relative_buckets", "relative_max_distance", "relative_embedding_norm"),
    *("content_to_position", "position_to_content", "shared_position_projections"),
    *("norm", "norm_eps", "norm_zero_centered", "norm_placement", "first_attention_norm"),
    *("final_norm", "residual_scale", "activation", "gated"),
    *("convolution_kernel_size", "convolution_groups", "convolution_activation"),
    *("num_experts", "experts_per_token", "expert_blocks"),
)


def _engine_config(config: EncoderConfig) -> dict[str, Any]:
    """The fields of `engine/config.h`, with per-layer values resolved.

    The engine refuses a dict that lacks a field of its list or has another one.
    """
    layers = range(config.num_layers)
    rescaled, padding = config.rescaled_mask_token, config.position_padding_token
    return {name: getattr(config, name) for name in _COPIED_FIELDS} | {
        "embedding_projection": config.embedding_size is not None,
        "rescaled_mask_token": -1 if rescaled is None else rescaled,
        "position_padding_token": -1 if padding is None else padding,
        "window": [_window(config, layer) for layer in layers],
        "block": [config.block(layer) for layer in layers],
    }


def _window(config: EncoderConfig, layer: int) -> int:
    window = config.window(layer)
    return -1 if window is None else min(window, config.max_length)

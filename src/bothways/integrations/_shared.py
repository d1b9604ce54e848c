"""What the adapters share: a model that is loaded once, prompts by role, and its serialized form.

n texts; d dimensions.
"""

import dataclasses
import os
import threading
import weakref
from collections.abc import Iterable
from typing import Any, TypedDict

import numpy as np

from bothways.encoder import Encoder, load
from bothways.errors import CheckpointError, InputError
from bothways.inference.backends import BackendName, Precision
from bothways.inference.prompts import PromptRole
from bothways.inference.session import LoadArguments
from bothways.sequences import OnOverflow

__all__ = ["EmbedderOptions", "ModelSource", "RoleEmbedder"]

ModelSource = str | os.PathLike[str] | Encoder
"""A source of `bothways.load`, or a model that is loaded already."""

_LOADED: weakref.WeakValueDictionary[LoadArguments, Encoder] = weakref.WeakValueDictionary()
_FINGERPRINTS: weakref.WeakKeyDictionary[Encoder, str] = weakref.WeakKeyDictionary()
"""Of models in use, since a fingerprint takes the time of reading the model."""

_lock = threading.Lock()


class EmbedderOptions(TypedDict, total=False):
    """The options of every adapter.

    backend, precision, threads, device: as `bothways.load`.
    query_prompt, document_prompt: texts to prepend to queries and documents, "" for none; None for
        the model's own prompt of that role.
    on_overflow: what to do with a text that is longer than the model allows.
    dimensions: number of leading dimensions to keep (Matryoshka); None for the model's own.
    fingerprint: that of the model whose vectors are stored; another model is refused. Serialized
        forms set it.
    """

    backend: BackendName
    precision: Precision
    threads: int | None
    device: str | None
    query_prompt: str | None
    document_prompt: str | None
    on_overflow: OnOverflow
    dimensions: int | None
    fingerprint: str | None


@dataclasses.dataclass
class RoleEmbedder:
    """A model that gives vectors of queries and of documents; loaded when they are first needed.

    The fields are those of `EmbedderOptions`.
    """

    model: ModelSource
    backend: BackendName = "auto"
    precision: Precision = "fp32"
    threads: int | None = None
    device: str | None = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    on_overflow: OnOverflow = "truncate"
    dimensions: int | None = None
    fingerprint: str | None = None
    _encoder: Encoder | None = dataclasses.field(default=None, init=False, repr=False)

    @property
    def encoder(self) -> Encoder:
        """The model; the same object for all adapters that load it with the same arguments.

        Raises:
            CheckpointError: if the model has another fingerprint than the one that was expected.
            SourceError, BackendError, MissingExtra: as `bothways.load`.
        """
        if self._encoder is None:
            encoder = self.model if isinstance(self.model, Encoder) else self._load(self.model)
            if self.fingerprint is not None:
                _check_fingerprint(encoder, self.fingerprint)
            self._encoder = encoder
        return self._encoder

    @property
    def width(self) -> int:
        """Dimensions d of a vector."""
        return min(self.dimensions or self.encoder.dimensions, self.encoder.spec.width)

    def queries(self, texts: Iterable[str], *, progress: bool = False) -> np.ndarray:
        """The vectors of queries, float32 (n, d)."""
        return self.encode(texts, "query", progress=progress)

    def documents(self, texts: Iterable[str], *, progress: bool = False) -> np.ndarray:
        """The vectors of documents, float32 (n, d)."""
        return self.encode(texts, "document", progress=progress)

    def encode(
        self,
        texts: Iterable[str],
        role: PromptRole | None,
        *,
        prompt_name: str | None = None,
        progress: bool = False,
    ) -> np.ndarray:
        """The vectors of texts, float32 (n, d).

        role: whose prompt is prepended; without one, `prompt_name`, or else the default prompt.

        Raises:
            InputError: naming the text that is invalid.
        """
        prompt = {"query": self.query_prompt, "document": self.document_prompt}.get(role or "")
        return self.encoder.encode(
            list(texts),
            prompt=prompt,
            prompt_name=prompt_name,
            role=role if prompt is None else None,
            on_overflow=self.on_overflow,
            dimensions=self.dimensions,
            progress=progress,
        )

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """The model and the names of the options, in order."""
        return tuple(field.name for field in dataclasses.fields(cls) if field.init)

    def options(self) -> dict[str, Any]:
        """The model and options as JSON has them, with the fingerprint: what makes an equal one.

        Options with their default value are left out.

        Raises:
            InputError: if the model is an `Encoder` that no source describes.
        """
        options = {
            field.name: value
            for field in dataclasses.fields(self)
            if field.init and (value := getattr(self, field.name)) != field.default
        }
        options.update(self._source_options())
        options["fingerprint"] = self.known_fingerprint()
        return options

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the loaded model, and its fingerprint: what pickles and copies hold."""
        return {**self.__dict__, "fingerprint": self.known_fingerprint(), "_encoder": None}

    def known_fingerprint(self) -> str:
        """The fingerprint of the model, which is computed once."""
        if self.fingerprint is None:
            self.fingerprint = _fingerprint(self.encoder)
        return self.fingerprint

    def _source_options(self) -> dict[str, Any]:
        """The source, and the options that a loaded model was loaded with."""
        if not isinstance(self.model, Encoder):
            return {"model": os.fspath(self.model)}
        loaded = self.model.session.load_arguments
        if loaded is None:
            raise InputError("the model was not loaded from a folder or another source")
        given = dict(zip(loaded._fields, loaded, strict=True))
        given = {k: v for k, v in given.items() if v != loaded._field_defaults.get(k)}
        del given["source"]
        for name in given:
            if name not in EmbedderOptions.__annotations__:
                raise InputError(
                    f"the model was loaded with {name}={given[name]!r}, which this form cannot "
                    "store; export the model with it, and name that folder"
                )
        return {"model": os.fspath(loaded.source), **given}

    def _load(self, source: str | os.PathLike[str]) -> Encoder:
        arguments = LoadArguments(
            os.fspath(source), self.backend, self.precision, self.threads, self.device
        )
        with _lock:
            encoder = _LOADED.get(arguments)
            if encoder is None:
                encoder = load(
                    arguments.source,
                    backend=self.backend,
                    precision=self.precision,
                    threads=self.threads,
                    device=self.device,
                )
                _LOADED[arguments] = encoder
            return encoder


def _fingerprint(encoder: Encoder) -> str:
    if encoder not in _FINGERPRINTS:
        _FINGERPRINTS[encoder] = encoder.fingerprint
    return _FINGERPRINTS[encoder]


def _check_fingerprint(encoder: Encoder, expected: str) -> None:
    actual = _fingerprint(encoder)
    if actual != expected:
        raise CheckpointError(
            f"{encoder.path}: the model has the fingerprint {actual}, and vectors are stored of "
            f"one with the fingerprint {expected}: they cannot be compared; load that model, or "
            "encode the documents again"
        )

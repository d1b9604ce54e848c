"""How sequences are encoded, and the origin of their vectors."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import bothways
from bothways.model.config import PoolingMode

if TYPE_CHECKING:
    from bothways.encoder import Encoder
    from bothways.files import Origin
    from bothways.files.vector_form import VectorForm
    from bothways.model.inputs import InputKind

__all__ = ["EncodeSettings", "absolute_source", "int8_scheme_of", "kind_of", "origin_of"]


@dataclasses.dataclass(frozen=True)
class EncodeSettings:
    """Arguments of `Encoder.encode`; None for the model's own."""

    pooling: PoolingMode | None = None
    normalize: bool | None = None
    dimensions: int | None = None
    prompt: str | None = None
    on_overflow: Literal["error", "truncate", "window"] = "truncate"
    prompt_name: str | None = None
    role: Literal["query", "document"] | None = None
    on_unknown: Literal["warn", "error", "ignore"] = "warn"


def kind_of(encoder: "Encoder") -> "InputKind":
    """The kind of input of a model; `text` for a model without tokenizer, which reads ids."""
    return "text" if encoder.reader is None else encoder.reader.kind


def origin_of(
    encoder: "Encoder", source: str, settings: EncodeSettings, vectors_as: "VectorForm" = "f32"
) -> "Origin":
    """Describe the vectors that an encoder makes with these settings, for the output file.

    vectors_as: the form in which the file stores them.

    Raises:
        InputError: if the model does not support the settings.
    """
    from bothways.files import Origin
    from bothways.inference.options import RunOptions

    empty = encoder.encode([], pooling=settings.pooling, dimensions=settings.dimensions)
    prompt = encoder.session.prompt(
        RunOptions(prompt=settings.prompt, prompt_name=settings.prompt_name, role=settings.role)
    )
    spec = encoder.spec
    modes = spec.pooling.modes if settings.pooling is None else (settings.pooling,)
    normalized = spec.normalizes if settings.normalize is None else settings.normalize
    return Origin(
        model=absolute_source(source),
        fingerprint=encoder.fingerprint,
        pooling="+".join(modes),
        normalization="l2" if normalized else "none",
        dimensions=empty.shape[1],
        precision=encoder.backend.precision,
        int8_scheme=int8_scheme_of(encoder),
        prompt=prompt.text,
        prompt_name=prompt.name or "",
        max_length=encoder.max_length,
        version=bothways.__version__,
        vectors_as=vectors_as,
    )


def int8_scheme_of(encoder: "Encoder") -> str:
    """The scheme of int8 of an encoder, which depends on the processor; "" if it has none."""
    return getattr(encoder.backend, "int8_scheme", None) or ""


def absolute_source(source: str) -> str:
    """The source in a form that is valid in any working directory."""
    from bothways.checkpoints.sources import ALIASES

    folder = Path(source).expanduser()
    return str(folder.absolute()) if source not in ALIASES and folder.is_dir() else source

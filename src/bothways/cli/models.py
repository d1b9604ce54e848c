"""Fetch and load the models of commands, and describe where vectors come from."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import bothways
from bothways.cli.options import BackendOptions
from bothways.cli.progress import pull_progress
from bothways.errors import SourceError
from bothways.model.config import PoolingMode

if TYPE_CHECKING:
    from bothways.encoder import Encoder
    from bothways.files import Origin
    from bothways.model.heads import Head
    from bothways.model.inputs import InputKind

__all__ = ["EncodeSettings", "fetch", "head_origin", "kind_of", "load", "origin_of", "token_origin"]


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


def fetch(source: str, *, quiet: bool, trusted: bool = True) -> Path:
    """Return the folder of a model, and fetch the model first if it is not on this machine.

    trusted: whether the user named the source. A source that a data file names must be an alias or
        on this machine: no file can make the user download a model.

    Raises:
        SourceError: if the model cannot be found or fetched.
    """
    from bothways.checkpoints.sources import ALIASES, resolve

    offline = None if trusted or source in ALIASES else True
    with pull_progress(source, quiet=quiet) as progress:
        try:
            return resolve(source, progress=progress, offline=offline)
        except SourceError as error:
            if trusted:
                raise
            raise SourceError(
                f"the file of vectors names the model {source!r}, which is not on this machine: "
                f"{error}; if you trust it, name it with --model or run: bothways pull {source!r}"
            ) from error


def load(
    source: str, options: BackendOptions | None = None, *, quiet: bool = False, trusted: bool = True
) -> "Encoder":
    """Load an encoder, and fetch it first if needed; raises what `bothways.load` and `fetch` do."""
    options = options or BackendOptions()
    folder = fetch(source, quiet=quiet, trusted=trusted)
    return bothways.load(
        folder,
        backend=options.backend,
        precision=options.precision,
        threads=options.threads,
        device=options.device,
        max_length=options.max_length,
    )


def kind_of(encoder: "Encoder") -> "InputKind":
    """The kind of input of a model; `text` for a model without tokenizer, which reads ids."""
    return "text" if encoder.reader is None else encoder.reader.kind


def origin_of(encoder: "Encoder", source: str, settings: EncodeSettings) -> "Origin":
    """Describe the vectors that an encoder makes with these settings, for the output file.

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
        model=_absolute_source(source),
        fingerprint=encoder.fingerprint,
        pooling="+".join(modes),
        normalization="l2" if normalized else "none",
        dimensions=empty.shape[1],
        precision=encoder.backend.precision,
        prompt=prompt.text,
        prompt_name=prompt.name or "",
        max_length=encoder.max_length,
        version=bothways.__version__,
    )


def token_origin(encoder: "Encoder", origin: "Origin") -> "Origin":
    """The origin of the token vectors of an encoder, given that of its pooled vectors."""
    return dataclasses.replace(
        origin, pooling="none", normalization="none", dimensions=encoder.config.d_model
    )


def head_origin(encoder: "Encoder", source: str, head: "Head") -> dict[str, str]:
    """Describe the predictions that an encoder makes with a head, for the output file."""
    return {
        "model": _absolute_source(source),
        "fingerprint": encoder.fingerprint,
        "head": head.task,
        "precision": encoder.backend.precision,
        "version": bothways.__version__,
    }


def _absolute_source(source: str) -> str:
    """The source in a form that is valid in any working directory."""
    from bothways.checkpoints.sources import ALIASES

    folder = Path(source).expanduser()
    return str(folder.absolute()) if source not in ALIASES and folder.is_dir() else source

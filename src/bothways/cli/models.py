"""Models of the command line: fetched with progress, loaded, and told where vectors come from."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import bothways
from bothways.cli.progress import pull_progress
from bothways.errors import SourceError
from bothways.inference.backends import BackendName, Precision
from bothways.model.config import PoolingMode

if TYPE_CHECKING:
    from bothways.encoder import Encoder
    from bothways.files import Kind, Origin
    from bothways.model.heads import Head

__all__ = ["EncodeSettings", "fetch", "head_origin", "kind_of", "load", "origin_of"]


@dataclasses.dataclass(frozen=True)
class EncodeSettings:
    """The arguments of `Encoder.encode` that the user chose; None for what the model says."""

    pooling: PoolingMode | None = None
    normalize: bool | None = None
    dimensions: int | None = None
    prompt: str | None = None
    prompt_name: str | None = None
    role: Literal["query", "document"] | None = None
    on_overflow: Literal["error", "truncate", "window"] = "truncate"
    on_unknown: Literal["warn", "error", "ignore"] = "warn"


def fetch(source: str, *, quiet: bool, trusted: bool = True) -> Path:
    """The folder of a model, fetched if need be.

    trusted: whether the user named the source. One that a data file names must be an alias or be on
        this machine: no file makes anyone fetch a model of its choice.

    Raises:
        SourceError: if it cannot be found or fetched.
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
                f"the file of vectors names the model {source!r}, which is not here: {error}; if "
                f"you trust it, name it with --model or run: bothways pull {source!r}"
            ) from error


def load(
    source: str,
    *,
    backend: BackendName = "auto",
    precision: Precision = "fp32",
    threads: int | None = None,
    quiet: bool = False,
    trusted: bool = True,
) -> "Encoder":
    """An encoder, fetched if need be; raises what `bothways.load` and `fetch` do."""
    folder = fetch(source, quiet=quiet, trusted=trusted)
    return bothways.load(folder, backend=backend, precision=precision, threads=threads)


def kind_of(encoder: "Encoder") -> "Kind":
    """What the model reads. One without a tokenizer reads ids, which stand where texts would."""
    return "text" if encoder.reader is None else encoder.reader.kind


def origin_of(encoder: "Encoder", source: str, settings: EncodeSettings) -> "Origin":
    """What a file says about the vectors that `encoder` makes with these settings.

    Raises:
        InputError: if the model cannot be used with them.
    """
    from bothways.files import Origin
    from bothways.inference.options import RunOptions

    none = encoder.encode([], pooling=settings.pooling, dimensions=settings.dimensions)
    prompt = encoder.session.prompt(
        RunOptions(prompt=settings.prompt, prompt_name=settings.prompt_name, role=settings.role)
    )
    spec = encoder.spec
    modes = spec.pooling.modes if settings.pooling is None else (settings.pooling,)
    normalized = spec.normalizes if settings.normalize is None else settings.normalize
    return Origin(
        model=_lasting_name(source),
        fingerprint=encoder.fingerprint,
        pooling="+".join(modes),
        normalisation="l2" if normalized else "none",
        dimensions=none.shape[1],
        precision=encoder.backend.precision,
        prompt=prompt.text,
        prompt_name=prompt.name or "",
        version=bothways.__version__,
    )


def head_origin(encoder: "Encoder", source: str, head: "Head") -> dict[str, str]:
    """What a file says about the predictions that `encoder` makes with a head."""
    return {
        "model": _lasting_name(source),
        "fingerprint": encoder.fingerprint,
        "head": head.task,
        "precision": encoder.backend.precision,
        "version": bothways.__version__,
    }


def _lasting_name(source: str) -> str:
    """The source in words that mean the same from another folder."""
    from bothways.checkpoints.sources import ALIASES

    folder = Path(source).expanduser()
    return str(folder.absolute()) if source not in ALIASES and folder.is_dir() else source

"""Fetch and load the models of commands, and describe where vectors come from."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import bothways
from bothways.cli.options import BackendOptions
from bothways.cli.progress import pull_progress
from bothways.errors import SourceError
from bothways.streaming.settings import EncodeSettings, absolute_source, kind_of, origin_of

if TYPE_CHECKING:
    from bothways.encoder import Encoder
    from bothways.files import Origin
    from bothways.model.heads import Head

__all__ = ["EncodeSettings", "fetch", "head_origin", "kind_of", "load", "origin_of", "token_origin"]


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
        **options.reading,
    )


def token_origin(encoder: "Encoder", origin: "Origin") -> "Origin":
    """The origin of the token vectors of an encoder, given that of its pooled vectors."""
    return dataclasses.replace(
        origin, pooling="none", normalization="none", dimensions=encoder.config.d_model
    )


def head_origin(encoder: "Encoder", source: str, head: "Head | None") -> dict[str, str]:
    """Describe the predictions that an encoder makes with a head, for the output file.

    head: None for weights of terms from a table.
    """
    return {
        "model": absolute_source(source),
        "fingerprint": encoder.fingerprint,
        "head": "terms" if head is None else head.task,
        "precision": encoder.backend.precision,
        "version": bothways.__version__,
    }

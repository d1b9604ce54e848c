"""`bothways search`: print the rows of a file of vectors that are nearest to a query."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli.command import command
from bothways.errors import InputError
from bothways.io.options import Option
from bothways.io.printable import printable
from bothways.model.config import PoolingMode

if TYPE_CHECKING:
    from bothways.files import Origin, SearchHit

__all__ = ["COMMAND", "search"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """The file to search, and how to encode the query."""

    file: Annotated[
        str,
        Option(
            "Vectors from `bothways encode`: a .parquet, .npy or .jsonl file.",
            group="Search", unit="FILE", flags=("--in",),
        ),
    ]  # fmt: skip
    k: Annotated[
        int, Option("Number of rows to print.", group="Search", unit="N", minimum=1, flags=("-k",))
    ] = 5
    model: Annotated[
        str | None,
        Option("Model (default: the one that the file names).", group="Search", unit="MODEL"),
    ] = None
    prompt: o.Prompt = None
    prompt_name: o.PromptName = None


def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Text or symbols to search for.")],
    options: SearchOptions,
    backend: o.BackendOptions,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Print the rows of a file of vectors that are nearest to a query.

    Prints cosine similarity, id and text, separated by tabs; --json prints objects with rank,
    score, row, id and text. The search is exact and reads the file a part at a time. The query is
    encoded with the model, pooling and dimensions of the file, and with the model's prompt for
    queries, if it has one. A .npy file has no ids or texts.

    \b
        bothways search "something to keep the rain off" --in sentences.jsonl
        bothways search "late delivery" --in reviews.parquet -k 20 --json
    """
    from bothways.files import check_comparable, find_nearest, read_origin

    stored = read_origin(options.file)
    source = options.model or stored.model
    encoder = models.load(source, backend, quiet=quiet, trusted=options.model is not None)
    settings = models.EncodeSettings(
        pooling=_pooling_of(stored),
        normalize=stored.normalization == "l2",
        dimensions=min(stored.dimensions, encoder.dimensions),
        prompt=options.prompt,
        prompt_name=options.prompt_name,
        role="query" if options.prompt is None and options.prompt_name is None else None,
    )
    origin = models.origin_of(encoder, source, settings)
    check_comparable(origin, stored, options.file)
    if models.kind_of(encoder) == "series":
        raise InputError("this model reads series, and search needs text or symbols")
    vector = encoder.encode(
        query,
        pooling=settings.pooling,
        normalize=settings.normalize,
        dimensions=settings.dimensions,
        prompt=settings.prompt,
        prompt_name=settings.prompt_name,
        role=settings.role,
    )
    _print(find_nearest(options.file, vector, origin, options.k), as_json=as_json)


def _pooling_of(stored: "Origin") -> PoolingMode | None:
    """The pooling of the file; None for a combination, which only a model folder can define."""
    return next((mode for mode in get_args(PoolingMode) if mode == stored.pooling), None)


def _print(hits: "list[SearchHit]", *, as_json: bool) -> None:
    for hit in hits:
        if as_json:
            print(json.dumps(hit._asdict()))
        else:
            print(f"{hit.score:.4f}\t{printable(hit.id)}\t{printable(hit.text or '')}")


COMMAND = command(search)

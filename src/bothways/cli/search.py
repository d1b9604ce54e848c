"""`bothways search`: the rows of a file of vectors that are nearest to a query."""

import json
from typing import TYPE_CHECKING, get_args

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli.console import printable
from bothways.errors import InputError
from bothways.model.config import PoolingMode

if TYPE_CHECKING:
    from bothways.files import Found, Origin

__all__ = ["search"]


def search(
    query: o.Query,
    file: o.VectorsFile,
    k: o.Nearest = 5,
    model: o.SearchModel = None,
    prompt: o.Prompt = None,
    prompt_name: o.PromptName = None,
    backend: o.Backend = "auto",
    precision: o.PrecisionOption = "fp32",
    threads: o.Threads = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Print the rows that are nearest to a query.

    Each line has the cosine of its vector and the query's, the id and the text, separated by tabs;
    with --json it is an object with rank, score, row, id and text. The search is exact: every
    vector is compared, in the memory of a part of the file. The query is encoded as the file was,
    with the model, pooling and dimensions that it names, and with the model's prompt for queries,
    if it has one, unless --prompt or --prompt-name is given; a model whose vectors cannot be
    compared with the file's is refused. A .npy file holds vectors alone: its rows are named by
    number.

    \b
        bothways search "something to keep the rain off" --in sentences.jsonl
        bothways search "late delivery" --in reviews.parquet -k 20 --json
    """
    from bothways.files import check_comparable, nearest, read_origin

    stored = read_origin(file)
    encoder = models.load(
        model or stored.model,
        backend=backend,
        precision=precision,
        threads=threads,
        quiet=quiet,
        trusted=model is not None,
    )
    settings = models.EncodeSettings(
        pooling=_pooling_of(stored),
        normalize=stored.normalisation == "l2",
        dimensions=min(stored.dimensions, encoder.dimensions),
        prompt=prompt,
        prompt_name=prompt_name,
        role="query" if prompt is None and prompt_name is None else None,
    )
    origin = models.origin_of(encoder, model or stored.model, settings)
    check_comparable(origin, stored, file)
    if models.kind_of(encoder) == "series":
        raise InputError("a query is text or symbols, and this model reads series")
    vector = encoder.encode(
        query,
        pooling=settings.pooling,
        normalize=settings.normalize,
        dimensions=settings.dimensions,
        prompt=settings.prompt,
        prompt_name=settings.prompt_name,
        role=settings.role,
    )
    _print(nearest(file, vector, origin, k), as_json=as_json)


def _pooling_of(stored: "Origin") -> PoolingMode | None:
    """The pooling to ask for; None for several together, which only a model folder can say."""
    return next((mode for mode in get_args(PoolingMode) if mode == stored.pooling), None)


def _print(found: "list[Found]", *, as_json: bool) -> None:
    for hit in found:
        if as_json:
            print(json.dumps(hit._asdict()))
        else:
            print(f"{hit.score:.4f}\t{printable(hit.id)}\t{printable(hit.text or '')}")

"""`bothways search`: print the rows of a file of vectors that are nearest to a query."""

import contextlib
import dataclasses
from itertools import islice
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli.command import command
from bothways.cli.console import note, warn
from bothways.cli.hits import Query, print_hits
from bothways.cli.search_queries import QueriesOptions, read_argument, read_queries
from bothways.errors import DataFileError, InputError, MissingExtra
from bothways.io.options import Option
from bothways.model.config import PoolingMode

if TYPE_CHECKING:
    import numpy as np

    from bothways.encoder import Encoder
    from bothways.files import Condition, Origin
    from bothways.files.vector_file import VectorFile
    from bothways.search import BitIndex

__all__ = ["COMMAND", "search"]

_BLOCK = 1000
"""Number of queries that one pass over the file answers."""

_SEARCH = "Search"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """The file to search, and how to encode the query."""

    file: Annotated[
        str,
        Option(
            "Vectors: .parquet, .npy or .jsonl, or a folder of .parquet.",
            group=_SEARCH, unit="FILE", flags=("--in",),
        ),
    ]  # fmt: skip
    k: Annotated[
        int,
        Option("Number of rows to print per query.", group=_SEARCH, unit="N", minimum=1,
               flags=("-k",)),
    ] = 5  # fmt: skip
    like: Annotated[
        str | None,
        Option("Search for rows like the row with this id, without that row.", group=_SEARCH,
               unit="ID"),
    ] = None  # fmt: skip
    where: Annotated[
        tuple[str, ...],
        Option(
            "Search only rows with this value; repeat it for columns or alternatives.",
            group=_SEARCH, unit="COLUMN=VALUE",
        ),
    ] = ()  # fmt: skip
    exact: Annotated[
        bool,
        Option("Compare all rows of a folder, also if it has an index.", group=_SEARCH),
    ] = False
    model: Annotated[
        str | None,
        Option("Model (default: the one that the file names).", group=_SEARCH, unit="MODEL"),
    ] = None
    trust: Annotated[
        bool,
        Option(
            "Search vectors that do not say what made them, as pandas or polars rewrite them; "
            "--model must be the model that did.",
            group=_SEARCH,
        ),
    ] = False  # fmt: skip
    prompt: o.Prompt = None
    prompt_name: o.PromptName = None
    pooling: Annotated[
        PoolingMode | None,
        Option("With --trust: pooling of the vectors (default: the model's).", group=_SEARCH,
               unit="MODE", advanced=True),
    ] = None  # fmt: skip
    dimensions: Annotated[
        int | None,
        Option("With --trust: number of dimensions that were kept (default: all).", group=_SEARCH,
               unit="N", minimum=1, advanced=True),
    ] = None  # fmt: skip


def search(
    options: SearchOptions,
    queries: QueriesOptions,
    backend: o.BackendOptions,
    query: Annotated[
        str | None,
        typer.Argument(metavar="[QUERY]", help="Text or symbols to search for; - reads them from "
                       "standard input."),
    ] = None,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:  # fmt: skip
    """Print the rows of a file of vectors that are nearest to a query.

    Prints cosine similarity, id and text, separated by tabs, and before them the query's id with
    --queries. On a terminal a line fits its width, and shows the part of the text where the query
    or most of its words occur. --json prints objects with rank, score, row, id and text. The search
    is exact, except in a folder that `bothways index` indexed. The query is encoded with the model,
    pooling and dimensions of the file, and with the model's prompt for queries, if it has one.

    \b
        bothways search "something to keep the rain off" --in sentences.jsonl
        bothways search --queries questions.txt --in reviews.parquet --where language=en --json
        bothways search --like B0042 --in products.parquet
    """
    from bothways.files import Condition, find_like
    from bothways.search import default_scan

    if [query is not None, bool(queries.inputs), options.like is not None].count(True) != 1:
        raise typer.BadParameter("give one of QUERY, --queries and --like")
    where = [Condition.parse(text) for text in options.where]
    if options.like is None:
        _search_queries(query, queries, options, where, backend, as_json=as_json, quiet=quiet)
        return
    _refuse_query_options(options)
    index = _open_index(options)
    _note_index(options, index, quiet=quiet)
    hits = find_like(
        options.file,
        options.like,
        options.k,
        where=where,
        trust=options.trust,
        scan=default_scan(),
        index=index,
    )
    with _open_vectors(options, index) as file:
        form = _form(options, file.origin, quiet=quiet)
    recall = _recall(index)
    query_row = Query(options.like, "", "")
    print_hits(hits, query_row, many=False, as_json=as_json, recall=recall, vectors_as=form)


def _search_queries(
    query: str | None,
    queries: QueriesOptions,
    options: SearchOptions,
    where: "list[Condition]",
    backend: o.BackendOptions,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    from bothways.files import check_inputs, find_nearest_many
    from bothways.search import default_scan

    files = check_inputs(
        queries.inputs, queries.file_options, note=(lambda _: None) if quiet else note
    )
    argument = None if query is None else read_argument(query)
    index = _open_index(options)
    encoder, settings, origin, stored = _load(options, index, backend, quiet=quiet)
    if models.kind_of(encoder) == "series":
        raise InputError("this model reads series, and search needs text or symbols")
    _note_index(options, index, quiet=quiet)
    form = _form(options, stored, quiet=quiet)
    recall = _recall(index)
    with contextlib.closing(read_queries(files, queries, encoder, quiet=quiet)) as from_files:
        every = from_files if argument is None else iter([argument])
        while block := list(islice(every, _BLOCK)):
            hits_per_query = find_nearest_many(
                options.file,
                _encode(encoder, block, settings),
                origin,
                options.k,
                where=where,
                trust=options.trust,
                scan=default_scan(),
                index=index,
            )
            for item, hits in zip(block, hits_per_query, strict=True):
                print_hits(
                    hits, item, many=argument is None, as_json=as_json, recall=recall,
                    vectors_as=form,
                )  # fmt: skip
            if where and not any(hits_per_query) and not quiet:
                note("no row has the values of --where")


def _open_index(options: SearchOptions) -> "BitIndex | None":
    """The index of the folder to search, if it has one; a graph cannot search some rows only."""
    from bothways.search import open_index

    index = None if options.exact else open_index(options.file)
    return index.without_graph() if index is not None and options.where else index


def _open_vectors(
    options: SearchOptions, index: "BitIndex | None"
) -> "contextlib.AbstractContextManager[VectorFile]":
    from bothways.files import open_vector_file

    if index is None:
        return open_vector_file(options.file, trust=options.trust)
    return contextlib.nullcontext(index.open(options.file, trust=options.trust))


def _form(options: SearchOptions, stored: "Origin | None", *, quiet: bool) -> str | None:
    """The form in which the vectors are stored, unless it is float32; says what scores are of."""
    if stored is None or stored.vectors_as == "f32":
        return None
    if not quiet:
        note(
            f"{options.file}: its vectors are stored as {stored.vectors_as}, so that scores are "
            "cosines with quantized vectors"
        )
    return stored.vectors_as


def _note_index(options: SearchOptions, index: "BitIndex | None", *, quiet: bool) -> None:
    """Say that results of an index are approximate."""
    if index is None or quiet:
        return
    if (recall := index.recall) is not None:
        note(
            f"searching the index of {options.file}: recall@{recall.k} was {recall.value:.3f} for "
            f"{recall.queries} of its rows; --exact compares all rows"
        )
    if index.lacks_usearch:
        note(f"searching without the graph of {options.file}: {MissingExtra('index', 'it')}")
    if missing := index.missing_parts():
        others = f" and {len(missing) - 1} more are" if len(missing) > 1 else " is"
        note(
            f"{missing[0]}{others} not in the index, so that all rows there are compared; to add "
            f"them: bothways index {options.file}"
        )


def _recall(index: "BitIndex | None") -> float | None:
    return None if index is None or index.recall is None else index.recall.value


def _load(
    options: SearchOptions, index: "BitIndex | None", backend: o.BackendOptions, *, quiet: bool
) -> "tuple[Encoder, models.EncodeSettings, Origin, Origin | None]":
    """The encoder of the query, with the settings that make vectors like those of the file.

    Also their origin, and that of the vectors of the file.
    """
    with _open_vectors(options, index) as file:
        stored, dimensions = file.origin, file.dimensions
    source = options.model or (None if stored is None else stored.model)
    if source is None:
        raise InputError(
            f"{options.file}: does not say which model made its vectors; name it with --model"
        )
    encoder = models.load(source, backend, quiet=quiet, trusted=options.model is not None)
    settings = models.EncodeSettings(
        # The pooling of the file is that of the other side, if the model has several.
        pooling=options.pooling
        or (None if stored is None or encoder.routes else _pooling_of(stored)),
        normalize=stored is not None and stored.normalization == "l2",
        dimensions=options.dimensions
        or (None if stored is None else min(stored.dimensions, encoder.dimensions)),
        prompt=options.prompt,
        prompt_name=options.prompt_name,
        role="query" if options.prompt is options.prompt_name is backend.route is None else None,
    )
    origin = models.origin_of(encoder, source, settings)
    if stored is None:
        _check_dimensions(options.file, dimensions, origin)
        warn(
            f"{options.file}: does not say what made its vectors; on your word, they are compared "
            f"with those of {source}, pooling {origin.pooling}"
        )
    queries = encoder.for_task("query") if backend.route is None else encoder
    return queries, settings, origin, stored


def _check_dimensions(file: str, dimensions: int | None, query: "Origin") -> None:
    if dimensions not in (None, query.dimensions):
        raise DataFileError(
            f"{file}: its vectors have {dimensions} dimensions, those of {query.model} "
            f"{query.dimensions}; name the model that made them with --model, or the number of "
            "dimensions that were kept with --dimensions"
        )


def _encode(
    encoder: "Encoder", queries: list[Query], settings: models.EncodeSettings
) -> "np.ndarray":
    try:
        return encoder.encode(
            [query.value for query in queries],
            pooling=settings.pooling,
            normalize=settings.normalize,
            dimensions=settings.dimensions,
            prompt=settings.prompt,
            prompt_name=settings.prompt_name,
            role=settings.role,
        )
    except InputError as error:
        if error.sequence is None:
            raise
        raise InputError(f"{queries[error.sequence].place}: {error.detail}") from error


def _refuse_query_options(options: SearchOptions) -> None:
    given = [
        f"--{name.replace('_', '-')}"
        for name in ("model", "prompt", "prompt_name", "pooling", "dimensions")
        if getattr(options, name) is not None
    ]
    if given:
        raise InputError(f"--like compares the vectors of the file, and takes no {given[0]}")


def _pooling_of(stored: "Origin") -> PoolingMode | None:
    """The pooling of the file; None for a combination, which only a model folder can define."""
    return next((mode for mode in get_args(PoolingMode) if mode == stored.pooling), None)


COMMAND = command(search)

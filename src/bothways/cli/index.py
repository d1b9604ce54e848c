"""`bothways index`: index a folder of vectors, so that a search need not compare all of them."""

import dataclasses
import json
from typing import Annotated

import typer

from bothways.cli import options as o
from bothways.cli.command import command
from bothways.cli.console import note
from bothways.cli.progress import stage_progress
from bothways.io.options import Option
from bothways.io.sizes import format_bytes

__all__ = ["COMMAND", "index"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndexOptions:
    """How to index."""

    graph: Annotated[
        bool,
        Option(
            "Also build a graph, for the fastest search of many rows. It takes about 2 bytes per "
            "dimension and 150 more for each row, on disk and in memory while it is built.",
            group="Index",
        ),
    ] = False  # fmt: skip
    candidates: Annotated[
        int,
        Option(
            "Rows per row of the result whose vectors a search compares: more find more of the "
            "nearest rows, and take longer. With --graph, those that the graph finds.",
            group="Index", unit="N", minimum=1,
        ),
    ] = 20  # fmt: skip
    trust: Annotated[
        bool,
        Option(
            "Index vectors that do not say what made them, as pandas or polars rewrite them.",
            group="Index",
        ),
    ] = False  # fmt: skip


def index(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="Folder with .parquet files of vectors.")
    ],
    options: IndexOptions,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Index a folder of vectors, so that a search need not compare all of them.

    Writes the sign of each dimension, one bit, into FOLDER/_index. `bothways search` then compares
    the vectors of those rows whose signs are most like the query's. Prints the recall, measured
    with 500 rows as queries: the share of the 10 nearest rows that a search finds. Run it again
    when files were added or changed: until then a search compares all of their rows.

    \b
        bothways index vectors/
        bothways index vectors/ --candidates 50
        bothways index vectors/ --graph
    """
    from bothways.search import build_index

    with stage_progress("indexing", quiet=quiet) as progress:
        report = build_index(
            folder,
            oversampling=options.candidates,
            graph=options.graph,
            trust=options.trust,
            progress=progress,
        )
    if as_json:
        print(json.dumps(dataclasses.asdict(report)))
        return
    if not quiet:
        graph = "" if report.graph_bytes is None else f", graph {format_bytes(report.graph_bytes)}"
        note(
            f"{report.indexed} of {report.parts} files indexed now, {report.rows:,} rows, "
            f"{format_bytes(report.bytes)}{graph}"
        )
    for recall, name in ((report.recall, ""), (report.graph_recall, ", with the graph")):
        if recall is not None:
            print(f"recall@{recall.k} {recall.value:.4f} ({recall.queries} rows as queries){name}")


COMMAND = command(index)

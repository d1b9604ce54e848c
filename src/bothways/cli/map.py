"""`bothways map`: write a page that shows vectors as points on a map."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from bothways.cli import options as o
from bothways.cli.command import command
from bothways.cli.console import note
from bothways.cli.progress import stage_progress
from bothways.io.options import Option
from bothways.views.map_options import MAX_POINTS, Projection

__all__ = ["COMMAND", "map"]

_OUTPUT, _MAP = "Output", "Map"


@dataclasses.dataclass(frozen=True, kw_only=True)
class MapOptions:
    """The page, and how vectors are placed on it."""

    output: Annotated[
        str,
        Option("Page to write, .html.", group=_OUTPUT, unit="FILE", flags=("--output", "-o")),
    ]
    overwrite: o.Overwrite = False
    columns: Annotated[
        str | None,
        Option(
            "Also write the points as .parquet, for other programs that draw maps.",
            group=_OUTPUT, unit="FILE",
        ),
    ] = None  # fmt: skip
    title: Annotated[
        str | None, Option("Title (default: the name of the input).", group=_OUTPUT, unit="TEXT")
    ] = None
    color: Annotated[
        tuple[str, ...],
        Option("Column of the file to color by (repeatable).", group=_MAP, unit="COLUMN"),
    ] = ()
    projection: Annotated[
        Projection,
        Option("Projection to the plane; umap needs the extra `map`.", group=_MAP, unit="NAME"),
    ] = "pca"
    clusters: Annotated[
        int | None,
        Option(
            "Number of clusters (default: the square root of half the number of points, at most "
            "40).",
            group=_MAP, unit="N", minimum=1,
        ),
    ] = None  # fmt: skip
    points: Annotated[
        int,
        Option("Most points; of more rows, a random sample.", group=_MAP, unit="N", minimum=3),
    ] = MAX_POINTS
    seed: Annotated[
        int, Option("Seed of the sample, the projection and the clusters.", group=_MAP, unit="N")
    ] = 0


def map(
    vectors: Annotated[
        str,
        typer.Argument(
            metavar="VECTORS", help="Vectors: .parquet, .npy or .jsonl, or a folder of .parquet."
        ),
    ],
    options: MapOptions,
    quiet: o.Quiet = False,
) -> None:
    """Write a page that shows vectors as points on a map.

    One HTML file that needs no network: search, colors by columns and clusters, a lasso, and for
    each point its nearest neighbors among the vectors themselves. The page says how many of them
    the map keeps. Reads what `bothways encode` writes, and other files with a column `vector`.

    \b
        bothways map vectors.parquet --color stars -o map.html
        bothways map vectors/ --projection umap -o map.html
        bothways map vectors.parquet -o map.html --columns points.parquet
    """
    from bothways.files.formats import require_parquet
    from bothways.files.output import check_output
    from bothways.views.map import map as place
    from bothways.views.map.results import check_columns_name
    from bothways.views.page_file import check_page_name

    page = Path(options.output)
    columns = None if options.columns is None else Path(options.columns)
    check_page_name(page)
    check_output(page, overwrite=options.overwrite)
    if columns is not None:
        check_columns_name(columns)
        require_parquet(str(columns))
        check_output(columns, overwrite=options.overwrite)
    with stage_progress("placing vectors", quiet=quiet) as progress:
        view = place(
            vectors,
            color=options.color,
            projection=options.projection,
            clusters=options.clusters,
            points=options.points,
            seed=options.seed,
            title=options.title or Path(vectors).name or vectors,
            progress=progress,
        )
    check_output(page, overwrite=options.overwrite)
    view.save(page)
    if columns is not None:
        check_output(columns, overwrite=options.overwrite)
        view.save_columns(columns)
    if not quiet:
        if len(view) < view.total:
            note(f"{len(view):,} of {view.total:,} rows, drawn at random")
        kept = f"the map keeps {view.kept.mean():.1%} of nearest neighbors"
        note(f"wrote {options.output}; open it in a browser; {kept}")


COMMAND = command(map)

"""A comparison as one page that needs nothing else: report.html, its figures beside it, raw.json.

OUT/report.html   headings, texts, tables and figures; no script, nothing fetched
OUT/NAME.png      each figure by itself
OUT/raw.json      the numbers behind them, with every seed
"""

import base64
import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bothways.errors import DataFileError
from bothways.io.atomic import atomic_files
from bothways.lab.report.html import page
from bothways.plotting.style import new_figure, plain_axes, require_matplotlib, save

if TYPE_CHECKING:  # matplotlib takes its time, and is there only where figures are wanted
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "RAW_FILE",
    "REPORT_FILE",
    "Report",
    "ReportFigure",
    "Section",
    "Table",
    "make_folder",
    "write_report",
]

REPORT_FILE, RAW_FILE = "report.html", "raw.json"


@dataclasses.dataclass(frozen=True)
class ReportFigure:
    """A figure of a report: what draws it, and what it shows, in words.

    name: of its PNG file, without the ending.
    draw: is given axes of `width` times `height` inches; or a figure that has been drawn.
    alt: what is seen, for those who do not see it; caption: what it means.
    """

    name: str
    draw: "Callable[[Axes], None] | Figure"
    caption: str
    alt: str
    width: float = 7.0
    height: float = 4.4


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of a report; the first cell of a row names the row.

    Whole numbers are shown in full, others to four digits, None as a dash.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float | None, ...], ...]


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading, and what stands under it, in this order; all texts are plain."""

    heading: str
    paragraphs: tuple[str, ...]
    figures: tuple[ReportFigure, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclasses.dataclass(frozen=True)
class Report:
    """What `write_report` writes.

    command: what makes this report again. facts: how it was made, by name: budgets, machine,
        versions. raw: the numbers behind it, as JSON knows them; NumPy's are taken too.
    """

    title: str
    command: str
    facts: Mapping[str, str]
    sections: tuple[Section, ...]
    raw: Mapping[str, Any]


def write_report(out: Path, report: Report) -> Path:
    """Write report.html, its figures and raw.json into the folder `out`; return the page's path.

    Files of those names are replaced, and each is whole at all times; the page comes last.

    Raises:
        DataFileError: if the files cannot be written.
        MissingExtra: without matplotlib.
        ValueError: if two figures have one name.
    """
    figures = [figure for section in report.sections for figure in section.figures]
    if len({figure.name for figure in figures}) < len(figures):
        raise ValueError("two figures of a report have one name")
    make_folder(out)
    with atomic_files(out, last=REPORT_FILE) as folder:
        images = {figure.name: _drawn(figure, folder) for figure in figures}
        text = json.dumps(_plain(_facts(report)), indent=1, ensure_ascii=False) + "\n"
        _write(folder / RAW_FILE, text)
        _write(folder / REPORT_FILE, page(report, images))
    return out / REPORT_FILE


def make_folder(out: Path) -> None:
    """Make the folder of a report, if it is not there.

    Raises:
        DataFileError: if it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataFileError(
            f"{out}: no folder for the report can be made: {error.strerror}; choose another"
        ) from error


def _drawn(figure: ReportFigure, folder: Path) -> str:
    """Write the figure's PNG file; return it as the address that holds the image itself."""
    require_matplotlib()
    canvas = figure.draw
    if callable(canvas):
        draw, canvas = canvas, new_figure(figure.width, figure.height)
        draw(plain_axes(canvas.subplots()))
    path = folder / f"{figure.name}.png"
    save(canvas, path)
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _facts(report: Report) -> dict[str, Any]:
    return {
        "title": report.title,
        "command": report.command,
        "facts": dict(report.facts),
        "results": report.raw,
    }


def _plain(value: Any) -> Any:
    """The value as JSON knows it: arrays as lists, and what is no finite number as null."""
    match value:
        case Mapping():
            return {str(name): _plain(inner) for name, inner in value.items()}
        case np.ndarray():
            return _plain(value.tolist())
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case np.generic():
            return _plain(value.item())
        case float():
            return value if math.isfinite(value) else None
        case _:
            return value


def _write(path: Path, text: str) -> None:
    # What is no character, such as half of a surrogate pair, becomes a question mark.
    path.write_text(text, encoding="utf-8", errors="replace")

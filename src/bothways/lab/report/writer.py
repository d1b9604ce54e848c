"""Write a report to a folder: report.html, a PNG file for each figure, and raw.json.

OUT/report.html   headings, texts, tables and figures; no script, no external resource
OUT/NAME.png      each figure by itself
OUT/raw.json      all numbers, for every seed
"""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bothways.errors import DataFileError
from bothways.io.atomic import atomic_files, new_folder
from bothways.lab.report.content import ComparisonReport, PageFigure
from bothways.lab.report.html import render_page
from bothways.pages.images import data_url
from bothways.plotting.style import new_figure, require_matplotlib, save_png, style_axes

__all__ = ["RAW_FILE", "REPORT_FILE", "report_folder", "write_report"]

REPORT_FILE, RAW_FILE = "report.html", "raw.json"


def write_report(out: Path, report: ComparisonReport) -> Path:
    """Write report.html, its figures and raw.json into the folder `out`; return the page's path.

    Existing files of these names are replaced atomically, the page last.

    Raises:
        DataFileError: if the files cannot be written.
        MissingExtra: if matplotlib is not installed.
        ValueError: if two figures have the same name.
    """
    figures = [figure for section in report.sections for figure in section.figures]
    if len({figure.name for figure in figures}) < len(figures):
        raise ValueError("two figures of a report have the same name")
    with report_folder(out), atomic_files(out, last=REPORT_FILE) as folder:
        images = {figure.name: _draw(figure, folder) for figure in figures}
        content = {
            "title": report.title,
            "command": report.command,
            "facts": dict(report.facts),
            "results": report.raw,
        }
        text = json.dumps(_to_json(content), indent=1, ensure_ascii=False) + "\n"
        _write(folder / RAW_FILE, text)
        _write(folder / REPORT_FILE, render_page(report, images))
    return out / REPORT_FILE


@contextlib.contextmanager
def report_folder(out: Path) -> Iterator[None]:
    """Create the folder of a report unless it exists; a new one that stays empty is removed.

    Raises:
        DataFileError: if it cannot be created.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(new_folder(out))
        except OSError as error:
            raise DataFileError(
                f"{out}: cannot create this folder for the report: {error.strerror}; choose another"
            ) from error
        yield


def _draw(figure: PageFigure, folder: Path) -> str:
    """Write the figure's PNG file; return the image as a `data:` URL."""
    require_matplotlib()
    canvas = figure.draw
    if callable(canvas):
        draw, canvas = canvas, new_figure(figure.width, figure.height)
        draw(style_axes(canvas.subplots()))
    path = folder / f"{figure.name}.png"
    save_png(canvas, path)
    return data_url(path)


def _to_json(value: Any) -> Any:
    """The value as JSON types: arrays become lists, NaN and infinities become null."""
    match value:
        case Mapping():
            return {str(name): _to_json(inner) for name, inner in value.items()}
        case np.ndarray():
            return _to_json(value.tolist())
        case list() | tuple():
            return [_to_json(inner) for inner in value]
        case np.generic():
            return _to_json(value.item())
        case float():
            return value if math.isfinite(value) else None
        case _:
            return value


def _write(path: Path, text: str) -> None:
    # Lone surrogates cannot be encoded; they become question marks.
    path.write_text(text, encoding="utf-8", errors="replace")

"""The content of a report: sections with paragraphs, figures and tables. All texts are plain."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # matplotlib is slow to import and may be missing
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ComparisonReport", "PageFigure", "PageSection", "ReportTable"]


@dataclasses.dataclass(frozen=True)
class PageFigure:
    """A figure of a report.

    name: of its PNG file, without the extension.
    draw: a function that draws on axes of `width` by `height` inches, or a finished figure.
    caption: what the figure means. alt: what it shows, for readers who cannot see it.
    """

    name: str
    draw: "Callable[[Axes], None] | Figure"
    caption: str
    alt: str
    width: float = 7.0
    height: float = 4.4


@dataclasses.dataclass(frozen=True)
class ReportTable:
    """A table of a report; the first cell of a row is the row's name.

    Integers are shown in full, other numbers with four digits, and None as a dash.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float | None, ...], ...]


@dataclasses.dataclass(frozen=True)
class PageSection:
    """A heading, followed by paragraphs, figures and tables, in this order."""

    heading: str
    paragraphs: tuple[str, ...]
    figures: tuple[PageFigure, ...] = ()
    tables: tuple[ReportTable, ...] = ()


@dataclasses.dataclass(frozen=True)
class ComparisonReport:
    """A report that `write_report` writes.

    command: reproduces the report. facts: settings, machine and versions, by name.
    raw: all numbers, as JSON values; NumPy arrays and scalars are converted.
    """

    title: str
    command: str
    facts: Mapping[str, str]
    sections: tuple[PageSection, ...]
    raw: Mapping[str, Any]

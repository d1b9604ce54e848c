"""A report of the lab as a page."""

from collections.abc import Mapping

from bothways.lab.report.content import ComparisonReport, PageFigure, PageSection, ReportTable
from bothways.pages import Markup, Page, render
from bothways.pages.elements import code_block, figure, paragraph, section, table

__all__ = ["render_page"]


def render_page(report: ComparisonReport, images: Mapping[str, str]) -> str:
    """The page as HTML; `images` holds the URL of each figure by its name."""
    sections = [_section(content, images) for content in report.sections]
    return render(Page(title=report.title, body=[*sections, _how_to_reproduce(report)]))


def _section(content: PageSection, images: Mapping[str, str]) -> Markup:
    return section(
        content.heading,
        [
            *map(paragraph, content.paragraphs),
            *(_figure(item, images[item.name]) for item in content.figures),
            *map(_table, content.tables),
        ],
    )


def _how_to_reproduce(report: ComparisonReport) -> Markup:
    return section(
        "How to reproduce this report",
        [
            code_block(report.command),
            table((), report.facts.items()),
            paragraph("All numbers, for every seed, are in raw.json next to this page."),
        ],
    )


def _figure(content: PageFigure, image: str) -> Markup:
    return figure(image, alt=content.alt, caption=content.caption)


def _table(content: ReportTable) -> Markup:
    rows = (tuple(map(_cell, row)) for row in content.rows)
    return table(content.columns, rows, caption=content.caption)


def _cell(value: str | int | float | None) -> str:
    match value:
        case None:
            return "–"
        case str():
            return value
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"

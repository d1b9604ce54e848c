"""A report as one HTML page, with style and images inline and every text escaped."""

import html
import re
from collections.abc import Iterator, Mapping

from bothways.io.printable import printable
from bothways.lab.report.content import ComparisonReport, PageFigure, PageSection, ReportTable

__all__ = ["render_page"]

# A second line of defense: the browser fetches and runs nothing, whatever the page contains.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light dark; --text: #1a1a1a; --back: #ffffff; --soft: #5b5b5b;
  --line: #d9d9d9; --shade: #f5f5f5; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e6e6; --back: #161616; --soft: #a8a8a8; --line: #3a3a3a; --shade: #222222; }
}
body { margin: 2.5rem auto; padding: 0 1.2rem; max-width: 47rem; background: var(--back);
  color: var(--text); font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; }
h2 { font-size: 1.25rem; margin-top: 2.6rem; }
code, pre { font: 0.9em ui-monospace, monospace; background: var(--shade); border-radius: 4px; }
pre { padding: 0.7rem 0.9rem; overflow-x: auto; }
figure { margin: 1.4rem 0; }
img { display: block; max-width: 100%; height: auto; background: #ffffff; border-radius: 6px; }
figcaption, caption { color: var(--soft); font-size: 0.92rem; text-align: left; }
figcaption { margin-top: 0.4rem; }
caption { padding-bottom: 0.4rem; }
.wide { overflow-x: auto; margin: 1.4rem 0; }
table { border-collapse: collapse; font-size: 0.92rem; }
th, td { padding: 0.3rem 0.9rem 0.3rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); font-weight: normal; }
thead th { color: var(--soft); }
.number { text-align: right; font-variant-numeric: tabular-nums; }
"""

_NUMBER = re.compile(r"[-−+]?[\d,.]+(e[+-]?\d+)?( ?[%×])?|–|nan|[-−]?inf|")
"""A cell with a number; columns of numbers are aligned to the right."""


_SPACE = ("\n", "\t")


def render_page(report: ComparisonReport, images: Mapping[str, str]) -> str:
    """The page as HTML; `images` holds the URL of each figure by its name."""
    return "\n".join(_lines(report, images)) + "\n"


def _lines(report: ComparisonReport, images: Mapping[str, str]) -> Iterator[str]:
    title = _text(report.title)
    yield "<!doctype html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title>"
    yield f"<style>{_STYLE}</style>"
    yield "</head>"
    yield "<body>"
    yield "<main>"
    yield f"<h1>{title}</h1>"
    for section in report.sections:
        yield from _section(section, images)
    yield "<section>"
    yield "<h2>How to reproduce this report</h2>"
    yield f"<pre><code>{_text(report.command)}</code></pre>"
    yield from _rows((), tuple(report.facts.items()))
    yield "<p>All numbers, for every seed, are in raw.json next to this page.</p>"
    yield "</section>"
    yield "</main>"
    yield "</body>"
    yield "</html>"


def _section(section: PageSection, images: Mapping[str, str]) -> Iterator[str]:
    yield "<section>"
    yield f"<h2>{_text(section.heading)}</h2>"
    for paragraph in section.paragraphs:
        yield f"<p>{_text(paragraph)}</p>"
    for figure in section.figures:
        yield from _figure(figure, images[figure.name])
    for table in section.tables:
        yield from _table(table)
    yield "</section>"


def _figure(figure: PageFigure, image: str) -> Iterator[str]:
    yield "<figure>"
    yield f'<img src="{image}" alt="{_text(figure.alt)}">'
    yield f"<figcaption>{_text(figure.caption)}</figcaption>"
    yield "</figure>"


def _table(table: ReportTable) -> Iterator[str]:
    cells = tuple(tuple(_cell(cell) for cell in row) for row in table.rows)
    yield from _rows(table.columns, cells, table.caption)


def _rows(
    columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...], caption: str = ""
) -> Iterator[str]:
    width = len(columns) or max((len(row) for row in rows), default=0)
    numeric = [i > 0 and all(_NUMBER.fullmatch(row[i]) for row in rows) for i in range(width)]
    attributes = [' class="number"' if is_number else "" for is_number in numeric]
    yield '<div class="wide">'
    yield "<table>"
    if caption:
        yield f"<caption>{_text(caption)}</caption>"
    if columns:
        headers = "".join(
            f'<th scope="col"{attribute}>{_text(name)}</th>'
            for attribute, name in zip(attributes, columns, strict=True)
        )
        yield f"<thead><tr>{headers}</tr></thead>"
    yield "<tbody>"
    for first, *others in rows:
        # <bdi>: right-to-left text in one cell must not reverse its neighbors.
        cells = "".join(
            f"<td{attribute}><bdi>{_text(cell)}</bdi></td>"
            for attribute, cell in zip(attributes[1:], others, strict=True)
        )
        yield f'<tr><th scope="row"><bdi>{_text(first)}</bdi></th>{cells}</tr>'
    yield "</tbody>"
    yield "</table>"
    yield "</div>"


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


def _text(text: str) -> str:
    """The text escaped for HTML; control and invisible characters become such as `\\x00`."""
    parts = (part if part in _SPACE else printable(part) for part in re.split(r"([\n\t])", text))
    return html.escape("".join(parts))

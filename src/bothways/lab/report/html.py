"""The page of a report: HTML with its style and its images inside, and texts that stay texts."""

import html
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bothways.lab.report.writer import Report, ReportFigure, Section, Table

__all__ = ["page"]

# The browser itself is told to fetch nothing and to run nothing, whatever stands in the page.
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
.figure { text-align: right; font-variant-numeric: tabular-nums; }
"""

_FIGURE = re.compile(r"[-−+]?[\d,.]+(e[+-]?\d+)?( ?[%×])?|–|nan|[-−]?inf|")
"""A cell that is a number: columns of them are set to the right."""


def page(report: "Report", images: Mapping[str, str]) -> str:
    """The whole page; `images` are the addresses of its figures, by name."""
    return "\n".join(_lines(report, images)) + "\n"


def _lines(report: "Report", images: Mapping[str, str]) -> Iterator[str]:
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
    yield "<h2>How this was made</h2>"
    yield f"<pre><code>{_text(report.command)}</code></pre>"
    yield from _rows((), tuple(report.facts.items()))
    yield "<p>The numbers behind it all, with every seed, are in raw.json beside this page.</p>"
    yield "</section>"
    yield "</main>"
    yield "</body>"
    yield "</html>"


def _section(section: "Section", images: Mapping[str, str]) -> Iterator[str]:
    yield "<section>"
    yield f"<h2>{_text(section.heading)}</h2>"
    for paragraph in section.paragraphs:
        yield f"<p>{_text(paragraph)}</p>"
    for figure in section.figures:
        yield from _figure(figure, images[figure.name])
    for table in section.tables:
        yield from _table(table)
    yield "</section>"


def _figure(figure: "ReportFigure", image: str) -> Iterator[str]:
    yield "<figure>"
    yield f'<img src="{image}" alt="{_text(figure.alt)}">'
    yield f"<figcaption>{_text(figure.caption)}</figcaption>"
    yield "</figure>"


def _table(table: "Table") -> Iterator[str]:
    cells = tuple(tuple(_cell(cell) for cell in row) for row in table.rows)
    yield from _rows(table.columns, cells, table.caption)


def _rows(
    columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...], caption: str = ""
) -> Iterator[str]:
    width = len(columns) or max((len(row) for row in rows), default=0)
    right = [i > 0 and all(_FIGURE.fullmatch(row[i]) for row in rows) for i in range(width)]
    side = [' class="figure"' if figures else "" for figures in right]
    yield '<div class="wide">'
    yield "<table>"
    if caption:
        yield f"<caption>{_text(caption)}</caption>"
    if columns:
        heads = zip(side, columns, strict=True)
        names = "".join(f'<th scope="col"{where}>{_text(name)}</th>' for where, name in heads)
        yield f"<thead><tr>{names}</tr></thead>"
    yield "<tbody>"
    for first, *others in rows:
        figures = zip(side[1:], others, strict=True)
        # Isolated: a cell in a script from right to left turns no other around.
        told = "".join(f"<td{where}><bdi>{_text(cell)}</bdi></td>" for where, cell in figures)
        yield f'<tr><th scope="row"><bdi>{_text(first)}</bdi></th>{told}</tr>'
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
    """The text for HTML; control characters, which a browser would drop, are written out."""
    shown = "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )
    return html.escape(shown)

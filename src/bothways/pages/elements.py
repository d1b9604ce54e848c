"""HTML elements with every text escaped."""

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NewType

from bothways.io.printable import printable

__all__ = [
    "Markup",
    "code_block",
    "escape",
    "figure",
    "heading",
    "paragraph",
    "section",
    "table",
]

Markup = NewType("Markup", str)
"""HTML whose texts are escaped."""

_SPACE = ("\n", "\t")

_NUMBER = re.compile(r"[-−+]?[\d,.]+(e[+-]?\d+)?( ?[%×])?|–|nan|[-−]?inf|")
"""A cell with a number; columns of numbers are aligned to the right."""


def escape(text: str) -> Markup:
    r"""The text escaped for HTML; control and invisible characters become such as `\x00`.

    >>> escape('<a href="x">')
    '&lt;a href=&quot;x&quot;&gt;'
    """
    parts = (part if part in _SPACE else printable(part) for part in re.split(r"([\n\t])", text))
    return Markup(html.escape("".join(parts)))


def heading(text: str, level: int = 2) -> Markup:
    """A heading."""
    return Markup(f"<h{level}>{escape(text)}</h{level}>")


def paragraph(text: str) -> Markup:
    """A paragraph of plain text."""
    return Markup(f"<p>{escape(text)}</p>")


def code_block(text: str) -> Markup:
    """A block of code, with its line breaks."""
    # A focusable element, as keyboards scroll it.
    return Markup(f'<pre tabindex="0"><code>{escape(text)}</code></pre>')


def figure(image: str, *, alt: str, caption: str) -> Markup:
    """An image with its caption.

    image: its `data:` URL. alt: what it shows, for readers who cannot see it.
    """
    return Markup(
        f'<figure>\n<img src="{escape(image)}" alt="{escape(alt)}">\n'
        f"<figcaption>{escape(caption)}</figcaption>\n</figure>"
    )


def section(title: str, content: Iterable[Markup]) -> Markup:
    """A section under a heading."""
    return Markup("\n".join(("<section>", heading(title), *content, "</section>")))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "") -> Markup:
    """A table whose first column names the rows; columns of numbers are aligned to the right.

    columns: their headings; none for a table without.
    """
    return Markup("\n".join(_table(columns, [tuple(row) for row in rows], caption)))


def _table(columns: Sequence[str], rows: Sequence[tuple[str, ...]], caption: str) -> Iterator[str]:
    width = len(columns) or max((len(row) for row in rows), default=0)
    numeric = [i > 0 and all(_NUMBER.fullmatch(row[i]) for row in rows) for i in range(width)]
    attributes = [' class="number"' if is_number else "" for is_number in numeric]
    # A focusable region, as keyboards scroll it.
    name = escape(caption or ", ".join(filter(None, columns)) or "Table")
    yield f'<div class="scroll" role="region" tabindex="0" aria-label="{name}">'
    yield "<table>"
    if caption:
        yield f"<caption>{escape(caption)}</caption>"
    if any(columns):
        headers = "".join(
            f'<th scope="col"{attribute}>{escape(title)}</th>' if title else f"<td{attribute}></td>"
            for attribute, title in zip(attributes, columns, strict=True)
        )
        yield f"<thead><tr>{headers}</tr></thead>"
    yield "<tbody>"
    for first, *others in rows:
        # <bdi>: right-to-left text in one cell must not reverse its neighbors.
        cells = "".join(
            f"<td{attribute}><bdi>{escape(cell)}</bdi></td>"
            for attribute, cell in zip(attributes[1:], others, strict=True)
        )
        yield f'<tr><th scope="row"><bdi>{escape(first)}</bdi></th>{cells}</tr>'
    yield "</tbody>"
    yield "</table>"
    yield "</div>"

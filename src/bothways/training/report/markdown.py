"""Pieces of Markdown around what strangers wrote: tables, and texts that stay texts."""

import re
from collections.abc import Iterable, Sequence

__all__ = ["MAX_TEXT", "code_block", "number", "plain", "table"]

MAX_TEXT = 160
"""Characters of a text that are shown."""

_SYNTAX = re.compile(r"([\\`*_{}\[\]<>#|~&$!@])")


def plain(text: str, limit: int = MAX_TEXT) -> str:
    """The text on one line, cut if it is long, with nothing in it that Markdown or HTML would read.

    >>> print(plain("a*b | <i>"))
    a\\*b \\| \\<i\\>
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    line = " ".join(cut.split())
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return _SYNTAX.sub(r"\\\1", shown)


def number(value: float) -> str:
    """A figure to four digits, whole numbers in full.

    >>> number(0.97123), number(12345.0), number(1234.5)
    ('0.9712', '12,345', '1,234.5')
    """
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; columns of figures are set to the right.

    >>> print(table(["class", "F1"], [["earn", "0.98"]]))
    | class | F1 |
    | :-- | --: |
    | earn | 0.98 |
    """
    cells = [list(row) for row in rows]
    figures = [all(_is_figure(row[i]) for row in cells) for i in range(len(header))]
    rule = ["--:" if is_figure else ":--" for is_figure in figures]
    return "\n".join(f"| {' | '.join(row)} |" for row in [list(header), rule, *cells])


def code_block(language: str, lines: str) -> str:
    """Lines as they are, between fences longer than any in them."""
    longest = max((len(run) for run in re.findall("`+", lines)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{lines}\n{fence}"


def _is_figure(cell: str) -> bool:
    return re.fullmatch(r"-?[\d,.]+(e[+-]?\d+)?( ?%)?|nan|-?inf|", cell) is not None

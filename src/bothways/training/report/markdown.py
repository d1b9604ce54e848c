"""Markdown for untrusted text: escaping, numbers, tables and code blocks."""

import re
from collections.abc import Iterable, Sequence

from bothways.io.printable import printable

__all__ = ["MAX_TEXT", "code_block", "number", "plain", "table"]

MAX_TEXT = 160
"""Maximum number of characters of a text in a report."""

_SYNTAX = re.compile(r"([\\`*_{}\[\]<>#|~&$!@])")


def plain(text: str, limit: int = MAX_TEXT) -> str:
    """The text on one line, truncated, with Markdown and HTML escaped.

    >>> print(plain("a*b | <i>"))
    a\\*b \\| \\<i\\>
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return _SYNTAX.sub(r"\\\1", printable(" ".join(cut.split())))


def number(value: float) -> str:
    """A number with four digits; integers in full.

    >>> number(0.97123), number(12345.0), number(1234.5)
    ('0.9712', '12,345', '1,234.5')
    """
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown cells; columns of numbers are right-aligned.

    >>> print(table(["class", "F1"], [["earn", "0.98"]]))
    | class | F1 |
    | :-- | --: |
    | earn | 0.98 |
    """
    cells = [list(row) for row in rows]
    numeric = [all(_is_number(row[i]) for row in cells) for i in range(len(header))]
    rule = ["--:" if is_number else ":--" for is_number in numeric]
    return "\n".join(f"| {' | '.join(row)} |" for row in [list(header), rule, *cells])


def code_block(language: str, lines: str) -> str:
    """A code block, with fences longer than any in its lines and invisible characters escaped."""
    lines = "\n".join(printable(line) for line in lines.split("\n"))
    longest = max((len(run) for run in re.findall("`+", lines)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{lines}\n{fence}"


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"-?[\d,.]+(e[+-]?\d+)?( ?%)?|nan|-?inf|", cell) is not None

"""Printing the rows that a search found: a line for each, or JSON."""

import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from bothways.io.printable import printable

if TYPE_CHECKING:
    from bothways.files import SearchHit

__all__ = ["Query", "print_hits", "snippet"]

_ELLIPSIS = "..."
_NARROW = 20
"""Columns of text, at least, also on a narrower terminal."""

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|(?:(?![{_IDEOGRAPHS}])\w)+")
"""A word; in scripts without spaces between words, a character."""


class Query(NamedTuple):
    """A query: its id, its text or symbols, and where it is, for messages."""

    id: str
    value: Any
    place: str

    @property
    def text(self) -> str:
        """The query as one text; symbols are separated by spaces."""
        return self.value if isinstance(self.value, str) else " ".join(self.value)


def print_hits(
    hits: "Sequence[SearchHit]",
    query: Query,
    *,
    many: bool,
    as_json: bool,
    recall: float | None = None,
    vectors_as: str | None = None,
) -> None:
    """Print the rows that one query found.

    On a terminal, lines fit its width: score, id, and the part of the text nearest the query.
    Elsewhere they hold the whole text, separated by tabs.

    many: whether there are several queries, so that each line or object must name its own.
    recall: of the index that found the rows, and vectors_as: the form of quantized vectors, for
    JSON.
    """
    if as_json:
        named = {"query_id": query.id, "query": query.value} if many else {}
        facts = {"recall": recall, "vectors_as": vectors_as}
        measured = {name: value for name, value in facts.items() if value is not None}
        for hit in hits:
            print(json.dumps(named | hit._asdict() | measured))
    elif sys.stdout.isatty():
        _print_block(hits, query, shutil.get_terminal_size().columns, many=many)
    else:
        name = f"{printable(query.id)}\t" if many else ""
        for hit in hits:
            print(f"{name}{hit.score:.4f}\t{printable(hit.id)}\t{printable(hit.text or '')}")


def _print_block(hits: "Sequence[SearchHit]", query: Query, width: int, *, many: bool) -> None:
    from rich.cells import cell_len, set_cell_size

    indent = "  " if many else ""
    if many:
        print(_fit(f"{_visible(query.id)}: {_visible(query.text)}", width))
    ids = [_fit(_visible(hit.id), max(_NARROW, width // 4)) for hit in hits]
    id_width = max(map(cell_len, ids), default=0)
    for hit, row_id in zip(hits, ids, strict=True):
        start = f"{indent}{hit.score:7.4f}  {set_cell_size(row_id, id_width)}  "
        room = max(_NARROW, width - cell_len(start))
        print(f"{start}{snippet(_visible(hit.text or ''), query.text, room)}".rstrip())
    if many:
        print()


def snippet(text: str, query: str, width: int) -> str:
    """The part of a line of text that is nearest to a query, in at most `width` columns.

    That is where the query itself occurs, or else the part with most of its words, each weighted by
    how rare it is in the text; the beginning if there are none.
    """
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    room = width - 2 * len(_ELLIPSIS)
    first, last = _nearest_part(text, query, room)
    start = max(0, first - max(0, room - (last - first)) // 2)
    if start > 0:  # at the beginning of a word, if there is one
        start = text.find(" ", start, first) + 1 or start
    if start == 0:
        return _fit(text, width)
    return _ELLIPSIS + _fit(text[start:], width - len(_ELLIPSIS))


def _nearest_part(text: str, query: str, room: int) -> tuple[int, int]:
    """Where the part of the text that is nearest to the query starts and ends."""
    phrase = " ".join(query.split())
    if phrase and (match := re.search(re.escape(phrase), text, re.IGNORECASE)):
        return match.span()
    wanted = {word.casefold() for word in _WORD.findall(query)}
    matches = [match for match in _WORD.finditer(text) if match[0].casefold() in wanted]
    words = [match[0].casefold() for match in matches]
    counts = Counter(words)
    best, best_weight = (0, 0), 0.0
    for i, match in enumerate(matches):
        end = i
        while end < len(matches) and matches[end].end() - match.start() <= room:
            end += 1
        weight = sum(1 / counts[word] for word in set(words[i:end]))
        if weight > best_weight:
            best, best_weight = (match.start(), matches[end - 1].end()), weight
    return best


def _visible(text: str) -> str:
    """The text on one line, with escapes for what standard output cannot show."""
    escaped = printable(" ".join(text.split()))
    encoding = sys.stdout.encoding or "utf-8"
    return escaped.encode(encoding, "backslashreplace").decode(encoding)


def _fit(text: str, width: int) -> str:
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - len(_ELLIPSIS)).rstrip() + _ELLIPSIS

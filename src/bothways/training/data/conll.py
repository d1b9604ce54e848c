"""CoNLL files: one token and its tags per line, a blank line between sentences.

Tjong Kim Sang and De Meulder 2003, "Introduction to the CoNLL-2003 shared task", section 3, and
CoNLL-U (https://universaldependencies.org/format.html).
"""

from collections.abc import Iterable, Iterator

from bothways.errors import DataFileError
from bothways.files.decoding import strip_newline
from bothways.files.records import Record
from bothways.files.rows import Place

__all__ = ["read_conll"]

_DOCUMENT = "-DOCSTART-"
_CONLL_U_COLUMNS = 10
_FORM, _UPOS = 1, 3


def read_conll(
    lines: Iterable[str], name: str, *, token: int | None = None, tag: int | None = None
) -> Iterator[Record]:
    """Read sentences as records of `tokens`, `tags` and `document` (such as `x.conll 3`).

    token, tag: their columns, counted from 1. By default the first and the last; in CoNLL-U, which
        has ten columns, the form and the universal part of speech.

    Tabs separate columns, or spaces if there are no tabs. A line that begins with # before the
    first token of a sentence is a comment, unless it has as many columns as the tokens. CoNLL-U's
    ranges (1-2) and empty nodes (1.1) are skipped.

    Raises:
        DataFileError: for a line without a tag, or with more or fewer columns than the first.
    """
    document, columns = 0, 0
    tokens: list[str] = []
    tags: list[str] = []
    sentence = Place(name, 1, 1)
    for number, raw in enumerate(lines, 1):
        fields = _fields(strip_newline(raw))
        if not fields:
            if tokens:
                yield _record(tokens, tags, document, sentence)
                sentence = sentence._replace(row=sentence.row + 1)
                tokens, tags = [], []
            continue
        if not tokens and fields[0].startswith("#") and len(fields) != columns:
            continue
        if fields[0] == _DOCUMENT:
            document += 1
            continue
        if not tokens:
            sentence = sentence._replace(line=number)
        place = Place(name, sentence.row, number)
        columns = columns or len(fields)
        _check(fields, columns, place)
        if columns == _CONLL_U_COLUMNS and not fields[0].isdecimal():
            continue
        token_at, tag_at = _places(columns, token, tag, place)
        tokens.append(fields[token_at])
        tags.append(fields[tag_at])
    if tokens:
        yield _record(tokens, tags, document, sentence)


def _record(tokens: list[str], tags: list[str], document: int, place: Place) -> Record:
    fields = {"tokens": tokens, "tags": tags, "document": f"{place.file} {document}"}
    return Record(fields, place)


def _fields(line: str) -> list[str]:
    if not line.strip():
        return []
    return line.split("\t") if "\t" in line else line.split()


def _check(fields: list[str], columns: int, place: Place) -> None:
    if len(fields) == 1:
        raise DataFileError(
            f"{place}: {fields[0][:40]!r} has no tag; expected a token and its tag, separated by a "
            "tab or a space"
        )
    if len(fields) != columns:
        raise DataFileError(
            f"{place}: {len(fields)} columns, but the first token has {columns}; all tokens "
            "need the same number"
        )


def _places(columns: int, token: int | None, tag: int | None, place: Place) -> tuple[int, int]:
    """The columns of token and tag, counted from 0."""
    is_conll_u = columns == _CONLL_U_COLUMNS
    token_at = (_FORM if is_conll_u else 0) if token is None else token - 1
    tag_at = (_UPOS if is_conll_u else columns - 1) if tag is None else tag - 1
    for at in (token_at, tag_at):
        if not 0 <= at < columns:
            raise DataFileError(f"{place}: no column {at + 1}; columns are 1 to {columns}")
    return token_at, tag_at

"""JSON files: an array of objects or texts, or objects one after another.

The file is parsed a value at a time: memory is bounded by the largest value.
"""

import json
from collections.abc import Iterator
from typing import Any

from bothways.errors import DataFileError
from bothways.files.columns import format_names
from bothways.files.formats import InputFile, explain_size
from bothways.files.jsonl import json_errors
from bothways.files.rows import Place
from bothways.files.values import describe_value

__all__ = ["read_json"]

_SPACE = " \t\r\n"
_COLUMN = "text"


def read_json(chunks: Iterator[str], file: InputFile) -> Iterator[tuple[dict[str, Any], Place]]:
    """Yield the object and place of each value of an array; a text or list is a field `text`.

    chunks: the text of the file.

    Raises:
        DataFileError: if the file is not JSON, is truncated, or holds something else.
    """
    parser = _Parser(chunks, file)
    match parser.peek():
        case None:
            return
        case "[":
            parser.skip()
            values = _items(parser, file.name)
        case "{":
            values = _objects(parser, file.name)
        case other:
            raise DataFileError(
                f"{file.name}: expected an array of objects or texts, found {other!r}"
            )
    for value, place in values:
        if value is None or isinstance(value, str | list):
            yield {_COLUMN: value}, place
        elif isinstance(value, dict):
            yield value, place
        else:
            raise DataFileError(
                f"{place}: expected an object or a text, found {describe_value(value)}"
            )


def _items(parser: "_Parser", name: str) -> Iterator[tuple[Any, Place]]:
    """The items of an array, of which the bracket was read."""
    row = 0
    while (character := parser.peek()) != "]":
        if row:
            if character != ",":
                actual = "the end of the file" if character is None else repr(character)
                raise DataFileError(f"{name}: expected ',' or ']' after row {row}, found {actual}")
            parser.skip()
        row += 1
        place = Place(name, row)
        yield parser.parse(place), place
    parser.skip()
    if (rest := parser.peek()) is not None:
        raise DataFileError(f"{name}: expected the end of the file after ']', found {rest!r}")


def _objects(parser: "_Parser", name: str) -> Iterator[tuple[Any, Place]]:
    """Objects that follow one another, as in JSON Lines."""
    row = 0
    while parser.peek() is not None:
        row += 1
        value = parser.parse(Place(name, row))
        nested = isinstance(value, dict) and any(isinstance(v, dict | list) for v in value.values())
        if row == 1 and nested and parser.peek() is None:
            raise DataFileError(
                f"{name}: holds a single object, with {format_names(list(value)[:5])}; expected "
                "an array of objects or texts (of pandas: to_json(orient='records'))"
            )
        yield value, Place(name, row)


class _Parser:
    """Parses values from chunks of text."""

    def __init__(self, chunks: Iterator[str], file: InputFile) -> None:
        self._chunks, self._limit = chunks, file.max_row_size
        self._text, self._position = "", 0
        self._decoder = json.JSONDecoder()

    def peek(self) -> str | None:
        """The next character that is not white space; None at the end."""
        while True:
            while self._position < len(self._text):
                character = self._text[self._position]
                if character not in _SPACE:
                    return character
                self._position += 1
            if not self._read_more(1):
                return None

    def skip(self) -> None:
        """Skip the character that `peek` returned."""
        self._position += 1

    def parse(self, place: Place) -> Any:
        """The next value.

        Raises:
            DataFileError: if it is not JSON, or too long.
        """
        if self.peek() is None:
            raise DataFileError(f"{place}: the file ends within the array; is it complete?")
        with json_errors(place):
            while True:
                try:
                    value, end = self._decoder.raw_decode(self._text, self._position)
                except json.JSONDecodeError as error:
                    if self._grow(place):  # the value may be incomplete
                        continue
                    at = max(0, error.pos - self._position)
                    raise DataFileError(
                        f"{place}: not JSON: {error.msg} at character {at} of the row"
                    ) from error
                if end == len(self._text) and self._grow(place):  # a number may go on
                    continue
                self._position = end
                return value

    def _grow(self, place: Place) -> bool:
        """Read as much again as the value has until now; False at the end of the file."""
        size = len(self._text) - self._position
        if size > self._limit:
            raise DataFileError(f"{place}: {explain_size('a value', self._limit)}")
        return self._read_more(size)

    def _read_more(self, size: int) -> bool:
        parts = [self._text[self._position :]]
        self._position, read = 0, 0
        for chunk in self._chunks:
            parts.append(chunk)
            read += len(chunk)
            if read >= size:
                break
        self._text = "".join(parts)
        return read > 0

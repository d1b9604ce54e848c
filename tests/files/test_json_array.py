"""Arrays and sequences of objects in .json files."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from bothways.errors import DataFileError

Read = Callable[..., list[Any]]


@pytest.mark.parametrize(
    "content",
    [
        b'["a", "b"]',
        b'[\n  {"text": "a", "n": [1, {}]},\n  {"text": "b"}\n]\n',
        b'{"text": "a"}\n{"text": "b"}\n',
        b'{\n "text": "a"\n}\n{\n "text": "b"\n}',
    ],
)
def test_arrays_and_sequences_of_objects_are_read(read: Read, content: bytes) -> None:
    assert read("x.json", content) == ["a", "b"]


def test_values_may_lie_across_the_chunks_in_which_the_file_is_read(read: Read) -> None:
    texts = [f"{i} " * (i % 300) + '\\"\u00e9\n' for i in range(2000)]
    assert read("x.json", json.dumps(texts, indent=1).encode()) == texts
    assert read("x.json", json.dumps(texts, ensure_ascii=False).encode()) == texts


def test_series_and_symbols_are_lists(read: Read) -> None:
    assert read("x.json", b'[["a", "b"]]', kind="symbols") == [["a", "b"]]
    (series,) = read("x.json", b'[{"x": [[1, 2], [3, 4]]}]', kind="series")
    assert series.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'["a"', "expected ',' or ']' after row 1, found the end of the file"),
        (b"[", "row 1: the file ends within the array"),
        (b'["a",', "row 2: the file ends within the array"),
        (b'["a", "b', "row 2: not JSON: Unterminated string"),
        (b'["a",]', "row 2: not JSON"),
        (b'["a" "b"]', "after row 1, found '\"'"),
        (b'["a"] x', "expected the end of the file after ']', found 'x'"),
        (b'["a", 3]', "row 2: expected an object or a text, found the number 3"),
        (b'["a", 12345678901234567890123]', "row 2: expected an object or a text, found the num"),
        (b"[" * 100_000, "row 1: nested too deeply"),
        (b"[" + b"1" * 10_000 + b"]", "row 1: .*digits"),
        (b"a, b", "expected an array of objects or texts, found 'a'"),
        (b'{"text": {"0": "a"}}', r"single object, with 'text'; .*orient='records'"),
        (b'["a", "\xff"]', "line 1: byte 0xff at offset 7 is not valid utf-8"),
    ],
)
def test_other_content_is_an_error_with_its_row(read: Read, content: bytes, message: str) -> None:
    with pytest.raises(DataFileError, match=rf"x\.json.*{message}"):
        read("x.json", content)


@pytest.mark.parametrize("content", [b"[]", b" [ ] ", b"", b"\n"])
def test_an_empty_array_has_no_rows(read: Read, content: bytes) -> None:
    assert read("x.json", content) == []

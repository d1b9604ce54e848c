"""JSON Lines and the types of its values."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.errors import DataFileError
from bothways.files import read_rows

Read = Callable[..., list[Any]]


@pytest.mark.parametrize(
    ("value", "description"),
    [
        ("true", "true"),
        ("3", "the number 3"),
        ("2.5", "the number 2.5"),
        ('["a"]', "a list of 1"),
        ('{"a": 1}', "an object"),
    ],
)
def test_a_value_that_is_not_text_is_an_error_with_file_row_and_column(
    read: Read, value: str, description: str
) -> None:
    content = f'{{"text": "a"}}\n{{"text": {value}}}\n'.encode()
    with pytest.raises(
        DataFileError,
        match=rf"x\.jsonl, row 2, column 'text': expected a text, found {description}$",
    ):
        read("x.jsonl", content)


def test_a_lone_surrogate_is_an_error_with_its_position(read: Read) -> None:
    with pytest.raises(DataFileError, match=r"row 1, column 'text': character 1 is .*\\ud800"):
        read("x.jsonl", b'{"text": "a\\ud800"}\n')


def test_a_surrogate_pair_is_one_character(read: Read) -> None:
    assert read("x.jsonl", b'{"text": "\\ud83d\\ude00"}\n') == ["\U0001f600"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": "a"', "not JSON"),
        (b"text", "not JSON"),
        (b'["a"]', "expected a JSON object, found a list of 1"),
        (b'"a"', "expected a JSON object, found the text 'a'"),
        (b'{"text": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"n": ' + b"1" * 10_000 + b"}", "digits"),
    ],
)
def test_a_line_that_is_not_an_object_is_an_error_with_its_row(
    read: Read, line: bytes, message: str
) -> None:
    with pytest.raises(DataFileError, match=rf"x\.jsonl, row 2: .*{message}"):
        read("x.jsonl", b'{"text": "a"}\n' + line + b"\n", column="text")


def test_blank_lines_are_skipped_at_the_end_and_errors_elsewhere(read: Read) -> None:
    assert read("x.jsonl", b'{"text": "a"}\n\n \n') == ["a"]
    with pytest.raises(DataFileError, match=r"row 2: blank; expected a JSON object"):
        read("x.jsonl", b'{"text": "a"}\n\n{"text": "b"}\n')


def test_ids_are_texts_or_whole_numbers(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"id": "a", "text": ""}\n{"id": 7, "text": ""}\n{"id": true, "text": ""}\n')
    rows = read_rows([str(path)], column="text", id_column="id")
    assert [next(rows).id, next(rows).id] == ["a", "7"]
    with pytest.raises(DataFileError, match=r"row 3, column 'id': expected an id.* found true"):
        next(rows)


def test_symbols_are_texts_or_lists_of_texts(read: Read) -> None:
    content = b'{"sequence": "MKV"}\n{"sequence": ["buy", "sell"]}\n'
    assert read("x.jsonl", content, kind="symbols") == ["MKV", ["buy", "sell"]]
    with pytest.raises(
        DataFileError, match="expected a text or a list of symbols, found a list of 2"
    ):
        read("x.jsonl", b'{"sequence": ["buy", 3]}\n', kind="symbols", column="sequence")


def test_series_are_lists_of_numbers_or_of_lists_of_numbers(read: Read) -> None:
    flat, nested = read(
        "x.jsonl", b'{"x": [1, 2.5]}\n{"x": [[1, 2], [3, 4], [5, 6]]}\n', kind="series"
    )
    assert flat.dtype == nested.dtype == np.float64
    assert flat.tolist() == [[1.0], [2.5]]
    assert nested.tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('"a"', "found the text 'a'"),
        ("true", "found true"),
        ("[1, null]", "position 1: .*found null"),
        ("[1, true]", "position 1: .*found true"),
        ("[[1, 2], [3]]", "position 1: .*found a list of 1, but position 0 has 2 numbers"),
        ("[[1], 2]", "position 1: .*found the number 2"),
        ("[1" + "0" * 400 + "]", "too large"),
    ],
)
def test_a_value_that_is_not_a_series_is_an_error_with_its_position(
    read: Read, value: str, message: str
) -> None:
    with pytest.raises(DataFileError, match=rf"x\.jsonl, row 1, column 'x'.*{message}"):
        read("x.jsonl", f'{{"x": {value}}}\n'.encode(), kind="series", column="x")


def test_an_empty_series_is_read(read: Read) -> None:
    (value,) = read("x.jsonl", b'{"x": []}\n', kind="series")
    assert value.shape == (0, 1)

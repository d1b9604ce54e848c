"""Decoding lines: line ends, byte order marks and invalid bytes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bothways.errors import DataFileError
from bothways.files import read_rows

Read = Callable[..., list[Any]]

NOT_LINE_ENDS = "a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029i\rj"


def test_only_newlines_end_a_line(read: Read) -> None:
    assert read("x.txt", f"{NOT_LINE_ENDS}\nnext".encode()) == [NOT_LINE_ENDS, "next"]


def test_a_carriage_return_before_a_newline_is_removed(read: Read) -> None:
    assert read("x.txt", b"one\r\ntwo\r\n\r\nfour\r") == ["one", "two", "", "four\r"]


def test_blank_lines_count_as_rows(read: Read) -> None:
    assert read("x.txt", b"one\n\n \nfour\n") == ["one", "", " ", "four"]


def test_the_last_line_may_lack_a_newline(read: Read) -> None:
    assert read("x.txt", b"one\ntwo") == read("x.txt", b"one\ntwo\n") == ["one", "two"]


def test_a_byte_order_mark_is_skipped_only_at_the_start(read: Read) -> None:
    assert read("x.txt", b"\xef\xbb\xbfone\n\xef\xbb\xbftwo") == ["one", "\ufefftwo"]


@pytest.mark.parametrize("name", ["x.txt", "x.csv", "x.tsv", "x.jsonl", "x.fasta"])
@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_has_no_rows(read: Read, name: str, content: bytes) -> None:
    assert read(name, content) == []


def test_nul_and_control_characters_are_kept(read: Read) -> None:
    assert read("x.txt", b"a\x00b\x01\x1b[31m\x7f\n") == ["a\x00b\x01\x1b[31m\x7f"]
    assert read("x.csv", b"text\na\x00b\n") == ["a\x00b"]
    assert read("x.jsonl", b'{"text": "a\\u0000b"}\n') == ["a\x00b"]


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_invalid_utf8_is_an_error_with_its_byte_offset(read: Read, start: bytes) -> None:
    offset = len(start) + 8
    with pytest.raises(DataFileError, match=rf"x\.txt, line 2: byte 0xff at offset {offset} "):
        read("x.txt", start + b"fine\nbad\xff\n")


def test_utf16_is_an_error_that_names_the_encoding(read: Read) -> None:
    with pytest.raises(DataFileError, match=r"offset 0 .* looks like UTF-16"):
        read("x.txt", "text".encode("utf-16"))


def test_rows_before_an_invalid_byte_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"fine\n\xff\n")
    rows = read_rows([str(path)])
    assert next(rows).value == "fine"
    with pytest.raises(DataFileError):
        next(rows)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("x.txt", b"", b"\n"),
        ("x.csv", b'text\n"', b'"\n'),
        ("x.jsonl", b'{"text": "', b'"}\n'),
        ("x.fasta", b">a\n", b"\n"),
    ],
)
def test_a_line_of_ten_megabytes_is_a_row(
    read: Read, name: str, before: bytes, after: bytes
) -> None:
    (value,) = read(name, before + b"word " * 1_999_999 + b"last." + after)
    assert len(value) == 10_000_000


def test_a_line_beyond_the_limit_is_refused(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bothways.files.byte_lines.MAX_LINE_BYTES", 1 << 20)
    with pytest.raises(DataFileError, match="a line of more than 1 MiB"):
        read("x.txt", b"x" * (2 << 20))

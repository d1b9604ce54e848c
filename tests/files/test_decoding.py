"""Decoding lines: line ends, byte order marks and invalid bytes."""

import gzip
import json
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
    assert read("x.txt", b"one\r\ntwo\r\nthree\r") == ["one", "two", "three\r"]


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


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.txt", b"a\n" + b"x" * 2000, "x.txt, line 2: a line"),
        ("x.txt", b"a\r" + b"x" * 2000, "x.txt, line 2: a line"),
        ("x.csv", b'text\n"' + b"x\n" * 2000 + b'"', r"x.csv, row 1 .*a field"),
        ("x.jsonl", b'{"text": "' + b"x" * 2000 + b'"}\n', "x.jsonl, line 1: a line"),
        ("x.json", b'["a", "' + b"x" * 200_000 + b'"]', "x.json, row 2: a value"),
        ("x.fa", b">a\n" + b"MKVLAA\n" * 200, r"x.fa, row 1.*: a record"),
    ],
)
def test_a_row_beyond_the_limit_is_refused(
    read: Read, name: str, content: bytes, message: str
) -> None:
    beyond = rf"{message} of more than 1,000 bytes; .*raise the limit with --max-row-size"
    with pytest.raises(DataFileError, match=beyond):
        read(name, content, max_row_size=1000)
    assert read(name, content)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("windows-1252", "caf\u00e9 \u201cquoted\u201d \u20ac"),
        ("latin-1", "caf\u00e9"),
        ("windows-1251", "\u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440"),
        ("shift_jis", "\u3053\u3093\u306b\u3061\u306f\u8868"),
        ("gb18030", "\u4f60\u597d\u4e16\u754c"),
        ("utf-16-le", "caf\u00e9 \u0a0a\u010a"),
        ("utf-16", "caf\u00e9"),
        ("cp037", "ebcdic"),
    ],
)
def test_other_encodings_are_read(read: Read, encoding: str, text: str) -> None:
    content = f"text\n{text}\n{text}\n"
    assert read("x.csv", content.encode(encoding), encoding=encoding) == [text, text]
    assert read("x.json", json.dumps([text]).encode(encoding), encoding=encoding) == [text]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_byte_order_mark_shows_the_encoding(read: Read, encoding: str) -> None:
    text = "\ufefftext\r\na \u0a0d\U0001f600\r\n"
    assert read("x.csv", text.encode(encoding)) == ["a \u0a0d\U0001f600"]
    assert read("x.txt.gz", gzip.compress(text.encode(encoding))) == ["text", "a \u0a0d\U0001f600"]
    assert read("x.json", '\ufeff["a"]'.encode(encoding)) == ["a"]


def test_text_longer_than_a_chunk_is_recoded(read: Read) -> None:
    lines = [f"\u00e9 {i}" * 50 for i in range(1000)]
    assert read("x.txt", "\n".join(lines).encode("utf-16")) == lines


def test_invalid_bytes_of_another_encoding_are_an_error_with_their_place(read: Read) -> None:
    content = "one\ntwo\n".encode("utf-16-le") + b"\x00\xd8a\x00"
    with pytest.raises(DataFileError, match=r"line 3: byte 0x00 at offset 16 is not valid utf-16"):
        read("x.txt", content, encoding="utf-16-le")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("windows-1252", "Sie h\u00f6rten \u201eBach\u201c im Caf\u00e9"),
        ("windows-1251", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440"),
        ("koi8-r", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440"),
        ("shift_jis", "\u3053\u306e\u6587\u306f\u65e5\u672c\u8a9e\u3067\u3059"),
        ("euc_kr", "\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4"),
        ("gb18030", "\u6211\u4eec\u90fd\u559c\u6b22\u8bfb\u4e66"),
        ("utf-16-le", "no mark"),
    ],
)
def test_the_error_guesses_the_encoding(read: Read, encoding: str, text: str) -> None:
    with pytest.raises(DataFileError, match=rf"looks like {encoding}: .*--encoding {encoding} "):
        read("x.txt", text.encode(encoding) + (b"\xff" if "16" in encoding else b""))


@pytest.mark.parametrize("encoding", ["nonsense", "base64", "rot13", "a\0"])
def test_an_unknown_encoding_is_an_error(read: Read, encoding: str) -> None:
    with pytest.raises(DataFileError, match="unknown; expected a name such as utf-8, windows-1252"):
        read("x.txt", b"a", encoding=encoding)


def test_carriage_returns_end_lines_where_no_newline_does(read: Read) -> None:
    assert read("x.txt", b"one\rtwo\rthree") == ["one", "two", "three"]
    assert read("x.csv", b'id,text\r1,"a\rb"\r2,c\r', column="text") == ["a\nb", "c"]
    assert read("x.txt", "one\rtwo\r".encode("utf-16")) == ["one", "two"]
    many = [f"line {i}" for i in range(20_000)]
    assert read("x.txt", "\r".join(many).encode(), max_row_size=1 << 17) == many

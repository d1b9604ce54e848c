"""Comma- and tab-separated values."""

import csv
from collections.abc import Callable
from typing import Any

import pytest

from bothways.errors import DataFileError

Read = Callable[..., list[Any]]


def test_quoted_fields_keep_delimiters_quotes_and_newlines(read: Read) -> None:
    content = b'id,text\n1,"a, ""b""\r\nc"\n2,d\xe2\x80\xa8e\n'
    assert read("x.csv", content, column="text") == ['a, "b"\r\nc', "d\u2028e"]


def test_tabs_separate_tsv(read: Read) -> None:
    assert read("x.tsv", b"id\ttext\n1\ta, b\n", column="text") == ["a, b"]


def test_crlf_ends_records(read: Read) -> None:
    assert read("x.csv", b'text\r\none\r\n""\r\nthree\r\n') == ["one", "", "three"]


@pytest.mark.parametrize(("record", "count"), [(b"1", "1 field"), (b"1,2,3", "3 fields")])
def test_a_ragged_record_is_an_error_with_its_row_and_line(
    read: Read, record: bytes, count: str
) -> None:
    content = b'id,text\n1,"a\nb"\n' + record + b"\n"
    with pytest.raises(DataFileError, match=rf"row 2 \(line 4\): {count}, but the header has 2"):
        read("x.csv", content)


def test_an_unclosed_quote_is_an_error(read: Read) -> None:
    with pytest.raises(DataFileError, match=r"row 2 \(line 3\).*: a quoted field is not closed"):
        read("x.csv", b'text\na\n"b\nc\nd\n')


def test_text_after_a_closing_quote_is_an_error(read: Read) -> None:
    with pytest.raises(DataFileError, match=r"row 1.*write a quote in a quoted field twice"):
        read("x.csv", b'text\n"a"b\n')


def test_an_unquoted_carriage_return_is_an_error(read: Read) -> None:
    with pytest.raises(DataFileError, match=r"row 1.*carriage return"):
        read("x.csv", b"text\na\rb\n")


def test_blank_lines_are_skipped_at_the_end_and_errors_elsewhere(read: Read) -> None:
    assert read("x.csv", b"text\na\n\n\n") == ["a"]
    with pytest.raises(DataFileError, match=r"row 2 \(line 3\): blank"):
        read("x.csv", b"text\na\n\nb\n")
    with pytest.raises(DataFileError, match="line 1: blank; expected the column names"):
        read("x.csv", b"\ntext\na\n")


def test_a_file_with_only_a_header_has_no_rows(read: Read) -> None:
    assert read("x.csv", b"text\n") == []


def test_the_field_limit_of_the_csv_module_is_restored(read: Read) -> None:
    before = csv.field_size_limit()
    (value,) = read("x.csv", b"text\n" + b"x" * 200_000 + b"\n")
    assert len(value) == 200_000 > before
    assert csv.field_size_limit() == before


def test_a_field_beyond_the_limit_is_an_error(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bothways.files.tables.MAX_FIELD", 1000)
    with pytest.raises(DataFileError, match="a field of more than 1,000 characters"):
        read("x.csv", b'text\n"' + b"x\n" * 1000)

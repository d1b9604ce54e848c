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
    assert read("x.csv", b'text\r\none\r\n""\r\nthree\r\n', on_missing="empty") == [
        "one",
        "",
        "three",
    ]


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


def test_blank_lines_are_skipped_at_the_end_and_missing_values_elsewhere(read: Read) -> None:
    assert read("x.csv", b"text\na\n\n\n") == ["a"]
    with pytest.raises(DataFileError, match=r"row 2 \(line 3\), column 'text': .*missing"):
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


def test_a_field_beyond_the_limit_may_lack_its_closing_quote(read: Read) -> None:
    with pytest.raises(DataFileError, match=r"row 1 .*is a closing quote missing\?"):
        read("x.csv", b'text\n"' + b"x\n" * 1000, max_row_size=1000)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_csv_is_the_one_in_the_header(read: Read, delimiter: str) -> None:
    content = f'id{delimiter}text\n1{delimiter}"a; b, c"\n'.encode()
    assert read("x.csv", content) == ["a; b, c"]


@pytest.mark.parametrize("line", [b"sep=;\r\n", b'"sep=;"\n', b"\xef\xbb\xbfSEP=;\r\n"])
def test_a_separator_line_of_excel_decides_on_the_delimiter(read: Read, line: bytes) -> None:
    assert read("x.csv", line + b"id;text, German\r\n1;a\r\n", column="text, German") == ["a"]
    with pytest.raises(DataFileError, match=r"row 1 \(line 3\): 1 field"):
        read("x.csv", line + b"id;text\r\n1\r\n")


def test_a_comma_in_the_header_comes_before_other_delimiters(read: Read) -> None:
    assert read("x.csv", b"id|source,text\n1,a\n") == ["a"]


def test_quoted_names_do_not_show_the_delimiter(read: Read) -> None:
    assert read("x.csv", b'"id, number";text\n1;a\n') == ["a"]


def test_several_delimiters_in_the_header_are_an_error(read: Read) -> None:
    with pytest.raises(DataFileError, match=r"contains ';' and '\|'; give.* --delimiter ';'"):
        read("x.csv", b"id;text|label\n1;a\n")


def test_a_given_delimiter_decides(read: Read) -> None:
    assert read("x.csv", b"a;b,c\nx;y,z\n", column="a;b", delimiter=",") == ["x;y"]
    assert read("x.csv", b"id:text\n1:a\n", delimiter=":") == ["a"]
    assert read("x.csv", b"id\ttext\n1\ta\n", delimiter="tab") == ["a"]


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n"])
def test_a_delimiter_is_one_character(read: Read, delimiter: str) -> None:
    with pytest.raises(DataFileError, match="expected one character"):
        read("x.csv", b"text\na\n", delimiter=delimiter)


def test_a_format_without_delimiters_refuses_one(read: Read) -> None:
    with pytest.raises(DataFileError, match=r"x\.txt: no delimiter ';'"):
        read("x.txt", b"a\n", delimiter=";")


def test_a_single_column_called_like_several_is_an_error_unless_the_delimiter_is_given(
    read: Read,
) -> None:
    for name, header, given in (("x.csv", b'"id;text"', ","), ("x.tsv", b"id,text", "tab")):
        with pytest.raises(DataFileError, match="if it is several columns, give --delimiter"):
            read(name, header + b"\na\n")
        assert read(name, header + b"\na\n", delimiter=given) == ["a"]


def test_a_row_without_the_detected_delimiter_is_an_error_that_names_the_delimiter(
    read: Read,
) -> None:
    with pytest.raises(DataFileError, match=r"row 1.*the delimiter is '\|', as in the header"):
        read("x.csv", b"text|label\na\n")


def test_fields_of_tsv_are_literal(read: Read) -> None:
    content = b'id\ttext\n1\t"Go," she said.\n2\t"stay\n3\tgone"\n'
    assert read("x.tsv", content) == ['"Go," she said.', '"stay', 'gone"']
    assert read("x.tab", content) == ['"Go," she said.', '"stay', 'gone"']


def test_a_quoted_field_of_tsv_that_spans_lines_is_an_error(read: Read) -> None:
    with pytest.raises(DataFileError, match=r"row 2.*a quoted field.* seems to begin in row 1"):
        read("x.tsv", b'id\ttext\n1\t"a\nb"\n')
    with pytest.raises(DataFileError, match=r"row 1.*a quoted field.* seems to begin in row 1"):
        read("x.tsv", b'text\tid\n"a\nb"\t1\n')


def test_a_tsv_field_with_doubled_quotes_is_a_warning(read: Read) -> None:
    with pytest.warns(UserWarning, match=r"row 1 .*--input-format csv --delimiter tab"):
        assert read("x.tsv", b'id\ttext\n1\t"a ""b"""\n') == ['"a ""b"""']
    assert read("x.tsv", b'id\ttext\n1\t"a ""b"""\n', input_format="csv") == ['a "b"']


def test_tsv_with_a_quoted_header_is_quoted(read: Read) -> None:
    assert read("x.tsv", b'"id"\t"text"\n1\t"a\n""b"""\n') == ['a\n"b"']

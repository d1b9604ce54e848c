"""FASTA records."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bothways.errors import DataFileError
from bothways.files import read_rows

Read = Callable[..., list[Any]]


def test_lines_are_joined_and_the_first_header_word_is_the_id(tmp_path: Path) -> None:
    path = tmp_path / "x.fa"
    path.write_bytes(b">sp|P1 first protein\r\nMKV\r\nlaa\r\n\r\n>two\nM K\n>empty\n")
    rows = list(read_rows([str(path)], on_missing="empty"))
    assert [(row.id, row.value) for row in rows] == [
        ("sp|P1", "MKVlaa"),
        ("two", "M K"),
        ("empty", ""),
    ]
    assert str(rows[1].place).endswith("x.fa, row 2 (line 5)")


def test_comments_are_skipped_and_a_final_stop_is_removed(read: Read) -> None:
    assert read("x.faa", b";LCBO\n>a\nM*K\n;comment\nV*\n>b\n*\n>c\nM**\n", on_missing="empty") == [
        "M*KV",
        "",
        "M*",
    ]


def test_residues_before_a_header_are_an_error(read: Read) -> None:
    with pytest.raises(
        DataFileError, match="line 2: expected a header such as '>name', found 'MKV'"
    ):
        read("x.fasta", b"\nMKV\n")


def test_a_header_without_a_name_is_an_error(read: Read) -> None:
    with pytest.raises(DataFileError, match=r"row 2 \(line 3\): a header without a name"):
        read("x.fasta", b">a\nMKV\n> \nMKV\n")

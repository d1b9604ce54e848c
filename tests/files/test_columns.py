"""Selecting the columns of sequences and ids."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError
from bothways.files import read_rows

Read = Callable[..., list[Any]]


def test_a_single_column_is_chosen_whatever_its_name(read: Read) -> None:
    assert read("x.csv", b"remark\na\n") == ["a"]


def test_the_only_text_column_is_chosen(read: Read) -> None:
    assert read("x.jsonl", b'{"n": 1, "remark": "a", "tags": []}\n') == ["a"]


def test_the_id_column_is_not_chosen_for_sequences(read: Read) -> None:
    assert read("x.csv", b"name,remark\n1,a\n", id_column="name") == ["a"]


@pytest.mark.parametrize("name", ["text", "Sentence", "sequence"])
def test_a_column_with_a_usual_name_is_chosen(read: Read, name: str) -> None:
    assert read("x.csv", f"id,{name},label\n1,a,b\n".encode()) == ["a"]


def test_an_ambiguous_choice_is_an_error_that_lists_the_columns(read: Read) -> None:
    with pytest.raises(DataFileError, match=r"--column .*'title', 'body'"):
        read("x.csv", b"title,body\na,b\n")
    with pytest.raises(DataFileError, match=r"--column .*'text', 'sentence'"):
        read("x.csv", b"text,sentence\na,b\n")


@pytest.mark.parametrize("option", ["column", "id_column"])
@pytest.mark.parametrize(
    ("name", "content"),
    [("x.csv", b"text,label\na,b\n"), ("x.jsonl", b'{"text":"a","label":"b"}\n')],
)
def test_a_missing_column_is_an_error_that_lists_the_columns(
    read: Read, name: str, content: bytes, option: str
) -> None:
    with pytest.raises(DataFileError, match=r"x\..*no column 'txt'.*'text', 'label'"):
        read(name, content, **{option: "txt"})


def test_a_missing_parquet_column_is_an_error_that_lists_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": ["a"], "label": [1]}), path)
    with pytest.raises(DataFileError, match=r"no column 'txt'; the file has 'text', 'label'"):
        next(read_rows([str(path)], column="txt"))


def test_a_column_missing_from_a_later_row_is_an_error_with_the_row(read: Read) -> None:
    with pytest.raises(DataFileError, match=r"x\.jsonl, row 2, column 'text': .*not in the row"):
        read("x.jsonl", b'{"text": "a"}\n{"txt": "b"}\n')


def test_a_duplicate_column_name_is_an_error(read: Read) -> None:
    with pytest.raises(DataFileError, match="2 columns are called 'text'"):
        read("x.csv", b"text,text\na,b\n", column="text")


def test_a_file_without_a_text_column_is_an_error(read: Read) -> None:
    with pytest.raises(DataFileError, match=r"no column could hold the sequences; .*'n'"):
        read("x.jsonl", b'{"n": 1}\n')


@pytest.mark.parametrize("name", ["x.txt", "x.fasta"])
@pytest.mark.parametrize("option", ["column", "id_column"])
def test_a_column_is_refused_for_formats_without_columns(
    read: Read, name: str, option: str
) -> None:
    with pytest.raises(DataFileError, match=r"have no columns"):
        read(name, b"", **{option: "text"})

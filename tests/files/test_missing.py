"""Rows without a value: one rule for all formats."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError
from bothways.files import OnMissing, ReadProgress, read_rows
from bothways.files.pairs import read_pairs


def parquet(path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", None, "c"]}), path)


FILES: dict[str, Callable[[Path], object]] = {
    "x.txt": lambda path: path.write_text("a\n \nc\n\n"),
    "x.csv": lambda path: path.write_text("id,text\n1,a\n2,\n3,c\n\n"),
    "y.csv": lambda path: path.write_text("n,text\n1,a\n\n3,c\n"),
    "x.tsv": lambda path: path.write_text("id\ttext\n1\ta\n2\t \n3\tc\n"),
    "x.jsonl": lambda path: path.write_text('{"text": "a"}\n{"text": null}\n{"text": "c"}\n'),
    "y.jsonl": lambda path: path.write_text('{"text": "a"}\n{}\n{"text": "c"}\n'),
    "x.json": lambda path: path.write_text('["a", null, "c"]'),
    "x.fasta": lambda path: path.write_text(">1\na\n>2\n>3\nc\n"),
    "x.parquet": parquet,
}


@pytest.mark.parametrize("name", FILES)
def test_a_missing_value_is_an_error_or_skipped_or_empty(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    FILES[name](path)
    column = None if name.endswith(("txt", "fasta", "json", "jsonl")) else "text"

    with pytest.raises(DataFileError, match=rf"{name}, row 2.*value is missing .*--on-missing"):
        list(read_rows([str(path)], column=column))

    expected: dict[OnMissing, list[str]] = {"skip": ["a", "c"], "empty": ["a", "", "c"]}
    for on_missing, values in expected.items():
        read_progress = ReadProgress([str(path)])
        rows = list(
            read_rows(
                [str(path)], column=column, on_missing=on_missing, read_progress=read_progress
            )
        )
        assert [row.value for row in rows] == values
        assert (read_progress.missing, getattr(read_progress.first_missing, "row", 0)) == (1, 2)
        has_ids = name in ("x.csv", "x.tsv", "x.fasta")
        assert rows[-1].id == ("3" if has_ids else "2")


def arrow(path: Path, rows: list[dict[str, str | None]]) -> None:
    table = pa.Table.from_pylist(rows)
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)


WITH_IDS: dict[str, Callable[[Path, list[dict[str, str | None]]], object]] = {
    "x.csv": lambda path, rows: path.write_text(
        "id,text\n" + "".join(f"{row['id'] or ''},{row['text'] or ''}\n" for row in rows)
    ),
    "x.json": lambda path, rows: path.write_text(json.dumps(rows)),
    "x.jsonl": lambda path, rows: path.write_text("".join(json.dumps(r) + "\n" for r in rows)),
    "x.parquet": lambda path, rows: pq.write_table(pa.Table.from_pylist(rows), path),
    "x.arrow": arrow,
}


@pytest.mark.parametrize("name", WITH_IDS)
def test_a_row_that_is_read_as_empty_keeps_its_id(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WITH_IDS[name](path, [{"id": "p", "text": "a"}, {"id": "q", "text": None}])
    rows = list(read_rows([str(path)], column="text", on_missing="empty"))
    assert [(row.id, row.value) for row in rows] == [("p", "a"), ("q", "")]


@pytest.mark.parametrize("name", WITH_IDS)
def test_only_a_skipped_row_may_lack_its_id(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WITH_IDS[name](path, [{"id": "p", "text": "a"}, {"id": None, "text": None}])
    assert len(list(read_rows([str(path)], column="text", on_missing="skip"))) == 1
    with pytest.raises(DataFileError, match=r"row 2.*column 'id'"):
        list(read_rows([str(path)], column="text", on_missing="empty"))


def test_an_empty_text_of_json_is_a_value(read: Callable[..., list[Any]]) -> None:
    assert read("x.jsonl", b'{"text": ""}\n{"text": " "}\n') == ["", " "]


def test_a_first_row_without_a_value_does_not_hide_the_column(
    read: Callable[..., list[Any]],
) -> None:
    content = b'{"n": 1, "text": null}\n{"n": 2, "text": "b"}\n'
    assert read("x.jsonl", content, on_missing="skip") == ["b"]


def test_a_missing_series_cannot_be_empty(read: Callable[..., list[Any]]) -> None:
    content = b'{"x": [1]}\n{"x": null}\n'
    assert len(read("x.jsonl", content, kind="series", on_missing="skip")) == 1
    with pytest.raises(DataFileError, match=r"--on-missing skip leaves out such rows \(in"):
        read("x.jsonl", content, kind="series", on_missing="empty")


@pytest.mark.parametrize("content", ["a,b\nx,\n,y\n,\nz,z\n"])
def test_a_pair_is_missing_if_one_of_its_texts_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(content)

    def pairs(on_missing: Any) -> tuple[list[Any], int]:
        read_progress = ReadProgress([str(path)])
        rows = read_pairs(
            [str(path)], columns=("a", "b"), on_missing=on_missing, read_progress=read_progress
        )
        return [row.value for row in rows], read_progress.missing

    assert pairs("skip") == ([("z", "z")], 3)
    assert pairs("empty") == ([("x", ""), ("", "y"), ("", ""), ("z", "z")], 3)
    with pytest.raises(DataFileError, match=r"row 1.*column 'b': the value is missing"):
        pairs("error")


def test_an_id_is_never_missing(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id,a,b\n1,x,y\n,,\n ,x,y\n")
    for rows in (
        read_rows([str(path)], column="a", id_column="id", on_missing="skip"),
        read_pairs([str(path)], columns=("a", "b"), id_column="id", on_missing="skip"),
    ):
        assert next(rows).id == "1"
        with pytest.raises(DataFileError, match=r"row 3 \(line 4\), column 'id': .* id"):
            next(rows)

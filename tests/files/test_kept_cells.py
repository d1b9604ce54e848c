"""Columns of the input that are copied to the output, with their types where it has types."""

import datetime
import decimal
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError
from bothways.files import Origin, Row, VectorBatch, open_vector_output, read_rows
from bothways.files.kept_cells import KeptCells
from bothways.files.pairs import read_pairs
from bothways.files.record_output import open_record_output

CSV = "id,body,lang\na,one,en\nb,two,\n"
OBJECTS = '{"text": "a", "n": 1, "tags": ["x"]}\n{"text": "b", "tags": null}\n'
TYPES = {
    "when": pa.array([1, None], pa.timestamp("ns")),
    "day": pa.array([datetime.date(2026, 1, 2), None]),
    "price": pa.array([decimal.Decimal("1.50"), decimal.Decimal("2.25")]),
    "n": pa.array([1, None], pa.int16()),
    "tags": pa.array([["p"], []]),
}


def read(
    path: Path, content: str, keep: Sequence[str] | Literal["all"], **options: Any
) -> list[Row]:
    path.write_text(content)
    return list(read_rows([str(path)], keep=keep, **options))


def cells(rows: list[Row]) -> list[dict[str, Any]]:
    return [dict(row.cells) for row in rows]


def write(path: Path, origin: Origin, *chunks: list[Row]) -> None:
    with open_vector_output(str(path)) as output:
        writer = output.start(origin)
        for rows in chunks:
            n = len(rows)
            zeros = np.zeros(n, np.int64)
            batch = VectorBatch(
                [row.id for row in rows],
                [row.value for row in rows],
                np.ones((n, 4), np.float32),
                zeros,
                zeros,
                np.zeros(n, bool),
            )
            writer.write(batch, KeptCells.of(rows))


def write_table(path: Path) -> list[Row]:
    pq.write_table(pa.table({"text": ["a", "b"], **TYPES}), path)
    return list(read_rows([str(path)], column="text", keep="all"))


def test_rows_keep_the_named_cells(tmp_path: Path) -> None:
    rows = read(tmp_path / "x.csv", CSV, ["lang"], column="body")
    assert [(row.id, row.value) for row in rows] == [("a", "one"), ("b", "two")]
    assert cells(rows) == [{"lang": "en"}, {"lang": ""}]
    rows = read(tmp_path / "x.jsonl", OBJECTS, ["n", "text"])
    assert cells(rows) == [{"n": 1, "text": "a"}, {"n": None, "text": "b"}]


def test_all_columns_are_those_but_the_sequence_and_the_id(tmp_path: Path) -> None:
    assert cells(read(tmp_path / "x.csv", CSV, "all", column="body")) == [
        {"lang": "en"},
        {"lang": ""},
    ]
    assert cells(read(tmp_path / "x.jsonl", OBJECTS, "all")) == [
        {"n": 1, "tags": ["x"]},
        {"n": None, "tags": None},
    ]
    assert cells(read(tmp_path / "x.txt", "one\n", "all")) == [{}]


def test_pairs_keep_cells_too(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id,a,b,lang\n7,one,two,en\n")
    (row,) = read_pairs([str(path)], columns=("a", "b"), keep="all")
    assert (row.id, row.value, dict(row.cells)) == ("7", ("one", "two"), {"lang": "en"})


@pytest.mark.parametrize(
    ("name", "content", "keep", "message"),
    [
        ("x.csv", "text,n\na,1\n", ["m"], r"x\.csv: no column 'm'; the file has 'text', 'n'"),
        ("x.txt", "a\n", ["m"], r"x\.txt: no column 'm': \.txt files have no columns"),
        ("x.jsonl", '{"text": "a"}\n{"text": "b", "m": 1}\n', "all",
         r"x\.jsonl, row 2: has the column 'm'"),
    ],
)  # fmt: skip
def test_columns_that_are_missing_or_new_are_errors(
    tmp_path: Path, name: str, content: str, keep: Any, message: str
) -> None:
    with pytest.raises(DataFileError, match=message):
        read(tmp_path / name, content, keep)


def test_parquet_keeps_the_types_of_parquet(tmp_path: Path, origin: Origin) -> None:
    rows = write_table(tmp_path / "x.parquet")
    write(tmp_path / "o.parquet", origin, rows[:1], rows[1:])
    table = pq.read_table(tmp_path / "o.parquet").select(list(TYPES))
    assert table.remove_column(4).equals(pa.table(TYPES).remove_column(4))
    assert table["tags"].to_pylist() == [["p"], []]


def test_jsonl_spells_dates_and_decimals_as_ids(tmp_path: Path, origin: Origin) -> None:
    write(tmp_path / "o.jsonl", origin, write_table(tmp_path / "x.parquet"))
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [{name: line[name] for name in TYPES} for line in lines] == [
        {"when": "1970-01-01T00:00:00.000000001", "day": "2026-01-02", "price": "1.50", "n": 1,
         "tags": ["p"]},
        {"when": None, "day": None, "price": "2.25", "n": None, "tags": []},
    ]  # fmt: skip


def test_json_values_have_inferred_types_in_parquet(tmp_path: Path, origin: Origin) -> None:
    content = '{"text": "a", "n": 1, "x": null, "f": [1.5]}\n{"text": "b", "n": null, "x": "s"}\n'
    rows = read(tmp_path / "x.jsonl", content, ["n", "x", "f"])
    write(tmp_path / "o.parquet", origin, rows[:1], rows[1:])
    table = pq.read_table(tmp_path / "o.parquet")
    types = {name: str(table.schema.field(name).type) for name in ("n", "x", "f")}
    assert types == {"n": "int64", "x": "string", "f": "list<element: double>"}
    assert table["x"].to_pylist() == [None, "s"]


@pytest.mark.parametrize("split", [1, 2])
def test_a_cell_of_another_type_is_named_by_its_place(
    tmp_path: Path, origin: Origin, split: int
) -> None:
    rows = read(tmp_path / "x.jsonl", '{"text": "a", "n": 1}\n{"text": "b", "n": "c"}\n', ["n"])
    message = r"x\.jsonl, row 2, column 'n': expected int64, .* write \.jsonl"
    with pytest.raises(DataFileError, match=message):
        write(tmp_path / "o.parquet", origin, rows[:split], rows[split:])
    assert not (tmp_path / "o.parquet").exists()


def test_bytes_are_no_json(tmp_path: Path, origin: Origin) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": ["a"], "b": [b"\x00"]}), path)
    rows = list(read_rows([str(path)], column="text", keep=["b"]))
    with pytest.raises(DataFileError, match="row 1, column 'b': cannot be written as JSON"):
        write(tmp_path / "o.jsonl", origin, rows)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_records_are_followed_by_kept_cells(tmp_path: Path, suffix: str) -> None:
    rows = read(tmp_path / "x.jsonl", OBJECTS, ["n", "tags"])
    path = tmp_path / f"o{suffix}"
    with open_record_output(str(path)) as output:
        writer = output.start({"label": "text"}, {})
        writer.write({"label": ["p", "q"]}, KeptCells.of(rows))
    match suffix:
        case ".csv":
            assert path.read_text() == 'label,n,tags\np,1,"[""x""]"\nq,,\n'
        case ".tsv":
            assert path.read_text().splitlines()[0] == '"label"\t"n"\t"tags"'
        case ".jsonl":
            first = json.loads(path.read_text().splitlines()[0])
            assert first == {"label": "p", "n": 1, "tags": ["x"]}
        case _:
            assert pq.read_table(path)["n"].to_pylist() == [1, None]


def test_a_column_called_id_gives_the_ids(tmp_path: Path) -> None:
    assert [row.id for row in read(tmp_path / "x.csv", "ID,text\n7,a\n8,b\n", ())] == ["7", "8"]
    assert [row.id for row in read(tmp_path / "x.jsonl", '{"id": 7, "text": "a"}\n', ())] == ["7"]
    pq.write_table(pa.table({"id": [7], "text": ["a"]}), tmp_path / "x.parquet")
    assert [row.id for row in read_rows([str(tmp_path / "x.parquet")])] == ["7"]
    (row,) = read(tmp_path / "y.csv", "id,name\n7,a\n", ())  # the other column is encoded
    assert (row.id, row.value) == ("7", "a")


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("id,ID,text\n7,8,a\n", {"column": "text"}),
        ("id\na\n", {}),
        ("id,n\na,5\n", {"column": "id"}),
    ],
)
def test_other_columns_called_id_are_not_ids(
    tmp_path: Path, content: str, options: dict[str, Any]
) -> None:
    assert [row.id for row in read(tmp_path / "x.csv", content, (), **options)] == ["0"]

"""Reading whole records from every format."""

import gc
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError
from bothways.files.formats import resolve_input
from bothways.files.records import Record, read_records


def records(path: Path, content: bytes | str, **options: Any) -> list[Record]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_records(resolve_input(str(path)), **options))


@pytest.mark.parametrize(
    ("name", "content", "fields"),
    [
        (
            "x.csv",
            'y,text\n1,"a,\nb"\n2,c\n',
            [{"y": "1", "text": "a,\nb"}, {"y": "2", "text": "c"}],
        ),
        ("x.tsv", "y\ttext\n1\ta\n", [{"y": "1", "text": "a"}]),
        (
            "x.jsonl",
            '{"y": 1, "tokens": ["a"]}\n{"y": null}\n',
            [{"y": 1, "tokens": ["a"]}, {"y": None}],
        ),
        ("x.txt", "a\n\nb\n", [{"text": "a"}, {"text": ""}, {"text": "b"}]),
        ("x.fasta", ">p one\nMK\nT\n", [{"id": "p", "sequence": "MKT"}]),
        ("x.csv", "", []),
        ("x.csv", "y,text\n", []),
    ],
)
def test_each_format_has_its_columns(
    tmp_path: Path, name: str, content: str, fields: list[dict[str, Any]]
) -> None:
    assert [dict(record.fields) for record in records(tmp_path / name, content)] == fields


def test_places_have_row_and_line(tmp_path: Path) -> None:
    read = records(tmp_path / "x.csv", 'y,text\n1,"a\nb"\n2,c\n')
    assert str(read[1].place).endswith("x.csv, row 2 (line 4)")


def test_duplicate_column_names_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="2 columns are called 'y'; rename all but one"):
        records(tmp_path / "x.csv", "y,y\n1,2\n")


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "x.parquet"
    columns = {"y": [1, None], "text": ["a", "b"], "tags": [["N"], []], "x": [[[1.5]], [[2.0]]]}
    pq.write_table(pa.table(columns), path)
    return str(path)


def test_parquet_values_are_json_values(table: str) -> None:
    first, second = read_records(resolve_input(table))
    assert first.fields == {"y": 1, "text": "a", "tags": ["N"], "x": [[1.5]]}
    assert second.fields == {"y": None, "text": "b", "tags": [], "x": [[2.0]]}
    assert second.place.row == 2


def test_only_selected_parquet_columns_are_read(table: str) -> None:
    assert next(read_records(resolve_input(table), columns=["y", "y"])).fields == {"y": 1}
    with pytest.raises(DataFileError, match="no column 'z'; the file has 'y', 'text', 'tags', 'x'"):
        next(read_records(resolve_input(table), columns=["z"]))


def test_a_damaged_parquet_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="damaged, truncated or not a Parquet file"):
        records(tmp_path / "x.parquet", b"PAR1 and nothing")


def test_an_abandoned_reader_closes_its_file(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("a\nb\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reading = read_records(resolve_input(str(tmp_path / "x.txt")))
        next(reading)
        reading.close()
        del reading
        gc.collect()

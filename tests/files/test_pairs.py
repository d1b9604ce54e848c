import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError
from bothways.files import ReadProgress
from bothways.files.pairs import read_pairs

RECORDS: list[dict[str, str | int]] = [
    {"name": "x", "first": "a river", "second": "a bank", "other": 1},
    {"name": "y", "first": "", "second": "a loan", "other": 2},
]


@pytest.fixture(params=["csv", "tsv", "jsonl", "parquet"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    path = tmp_path / f"pairs.{request.param}"
    match request.param:
        case "jsonl":
            path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
        case "parquet":
            pq.write_table(pa.Table.from_pylist(RECORDS), path)
        case kind:
            delimiter = "," if kind == "csv" else "\t"
            lines = [list(RECORDS[0]), *([str(v) for v in record.values()] for record in RECORDS)]
            path.write_text("".join(delimiter.join(line) + "\n" for line in lines))
    return str(path)


def test_a_pair_is_read_from_two_columns(file: str) -> None:
    read_progress = ReadProgress([file])
    rows = list(
        read_pairs(
            [file, file],
            columns=("first", "second"),
            on_missing="empty",
            read_progress=read_progress,
        )
    )
    assert [row.value for row in rows] == [("a river", "a bank"), ("", "a loan")] * 2
    assert [row.id for row in rows] == ["0", "1", "2", "3"]
    named = read_pairs([file], columns=("second", "first"), id_column="name", on_missing="empty")
    assert [(row.id, row.value[0]) for row in named] == [("x", "a bank"), ("y", "a loan")]


def test_a_missing_column_is_an_error_that_names_it(file: str) -> None:
    with pytest.raises(DataFileError, match=r"no column 'third'; .*'first'"):
        list(read_pairs([file], columns=("first", "third")))


def test_a_value_that_is_not_text_is_an_error_with_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": "x", "b": "y"}\n{"a": "x", "b": 3}\n')
    with pytest.raises(
        DataFileError, match="row 2, column 'b': expected a text, found the number 3"
    ):
        list(read_pairs([str(path)], columns=("a", "b")))

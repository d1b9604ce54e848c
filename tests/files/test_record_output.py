"""Records written in batches, in each format, to files that are complete or absent."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError, MissingExtra
from bothways.files import formats
from bothways.files.formats import resolve_input
from bothways.files.record_output import open_record_output
from bothways.files.record_writers import ColumnType
from bothways.files.records import read_records

COLUMNS: dict[str, ColumnType] = {
    "id": "text",
    "share": "number",
    "cut": "flag",
    "labels": "texts",
    "shares": "numbers",
    "masks": "lists of texts",
    "odds": "lists of numbers",
}
ROWS: dict[str, list[Any]] = {
    "id": ["a,b", 'quoted "c"', "line\nend", None],
    "share": [0.25, math.nan, 1e-7, None],
    "cut": [True, False, False, None],
    "labels": [["x", None], [], ["\u2028"], None],
    "shares": [[0.5, math.nan], [], [1.0], None],
    "masks": [[["p", "q"], []], [], [["r"]], None],
    "odds": [[[0.5], []], [], [[math.nan]], None],
}
AS_JSON = ROWS | {
    "share": [0.25, None, 1e-7, None],
    "shares": [[0.5, None], [], [1.0], None],
    "odds": [[[0.5], []], [], [[None]], None],
}


def write(path: Path, *, parts: int = 2, overwrite: bool = False) -> None:
    """Write all rows, `parts` times."""
    with open_record_output(str(path), overwrite=overwrite) as out:
        writer = out.start(COLUMNS, {"head": "tags"})
        for _ in range(parts):
            writer.write(ROWS)


def test_jsonl_holds_the_records(tmp_path: Path) -> None:
    write(tmp_path / "o.jsonl")
    records = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().split("\n")[:-1]]
    expected = [{name: AS_JSON[name][i] for name in COLUMNS} for i in range(4)]
    assert records == expected * 2


def test_characters_that_control_a_terminal_are_escapes_in_jsonl(tmp_path: Path) -> None:
    with open_record_output(str(tmp_path / "o.jsonl"), overwrite=False) as out:
        out.start({"id": "text"}, {}).write({"id": ["é\u202e\x9b"]})
    content = (tmp_path / "o.jsonl").read_text(encoding="utf-8")
    assert content == '{"id": "é\\u202e\\u009b"}\n'


@pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_tables_store_lists_as_json(suffix: str, delimiter: str, tmp_path: Path) -> None:
    write(tmp_path / f"o.{suffix}")
    with (tmp_path / f"o.{suffix}").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file, delimiter=delimiter))
    assert len(table) == 8
    assert list(table[0]) == list(COLUMNS)
    for i, row in enumerate(table):
        for name in ("labels", "shares", "masks", "odds"):
            cell, expected = row[name], AS_JSON[name][i % 4]
            assert (json.loads(cell) if cell else None) == expected
        assert row["id"] == (ROWS["id"][i % 4] or "")
    assert [row["share"] for row in table[:4]] == ["0.25", "", "1e-07", ""]
    assert [row["cut"] for row in table[:4]] == ["true", "false", "false", ""]


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_tables_are_read_back_as_written(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / f"o.{suffix}", parts=1)
    records = list(read_records(resolve_input(str(tmp_path / f"o.{suffix}"))))
    assert [record.fields["id"] for record in records] == ["a,b", 'quoted "c"', "line\nend", ""]
    assert [record.fields["labels"] for record in records][:2] == ['["x", null]', "[]"]


def test_parquet_has_types_and_metadata(tmp_path: Path) -> None:
    write(tmp_path / "o.parquet")
    table = pq.read_table(tmp_path / "o.parquet")
    for name in ("id", "cut", "labels", "shares", "masks", "odds"):
        assert table[name].to_pylist() == AS_JSON[name] * 2
    assert table["share"].to_pylist()[2] == np.float32(1e-7)
    assert table.schema.metadata[b"bothways.head"] == b"tags"


def test_no_file_is_left_after_an_error(tmp_path: Path) -> None:
    def break_off(path: Path) -> None:
        with open_record_output(str(path)) as out:
            out.start(COLUMNS, {}).write(ROWS)
            raise RuntimeError("stop")

    for suffix in ("jsonl", "csv", "parquet"):
        with pytest.raises(RuntimeError, match="stop"):
            break_off(tmp_path / f"o.{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept_without_overwrite(tmp_path: Path) -> None:
    (tmp_path / "o.jsonl").write_text("precious")
    with pytest.raises(DataFileError, match="exists"):
        write(tmp_path / "o.jsonl")
    assert (tmp_path / "o.jsonl").read_text() == "precious"
    write(tmp_path / "o.jsonl", overwrite=True)
    assert (tmp_path / "o.jsonl").read_text() != "precious"


@pytest.mark.parametrize("name", ["o.npy", "o", "o.json"])
def test_an_unknown_format_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"supported are \.parquet, \.jsonl, \.csv, \.tsv"):
        write(tmp_path / name)


def test_a_missing_pyarrow_is_an_error_that_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"\[parquet\]"):
        write(tmp_path / "o.parquet")
    assert list(tmp_path.iterdir()) == []


def test_standard_output_is_jsonl_for_records(capfd: pytest.CaptureFixture[str]) -> None:
    with open_record_output("-") as out:
        out.start(COLUMNS, {}).write(ROWS)
    assert len(capfd.readouterr().out.split("\n")) == 5

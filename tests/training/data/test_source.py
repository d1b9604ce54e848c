"""Files of every format, read as often as need be."""

import bz2
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError
from bothways.files import FileOptions
from bothways.training.data.source import DataSource
from bothways.training.options.data import ColumnNames

OpenSource = Callable[..., DataSource]
Write = Callable[[str, Any], str]


def inputs(source: DataSource) -> list[tuple[Any, ...]]:
    return [row.inputs for row in source.rows()]


def labels(source: DataSource) -> list[tuple[Any, ...]]:
    return [row.labels for row in source.rows()]


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([{"text": "a b"}], "text"),
        ([{"x": ["a", "b"]}], "symbols"),
        ([{"x": [1.5, 2]}], "series"),
        ([{"x": [[1, 2], [3, 4]]}], "series"),
    ],
)
def test_the_kind_of_sequence_is_detected_from_the_first_row(
    open_source: OpenSource, rows: list[Any], kind: str
) -> None:
    assert open_source("mlm", rows).kind == kind


def test_fasta_holds_symbols(open_source: OpenSource) -> None:
    source = open_source("mlm", ">p\nMK\nT\n", "x.fasta")
    assert source.kind == "symbols"
    assert inputs(source) == [("MKT",)]


def test_words_with_tags_are_text_in_every_format(open_source: OpenSource) -> None:
    rows = [{"tokens": ["a", "b"], "tags": ["X", "Y"]}]
    for source in (
        open_source("tag", rows),
        open_source("tag", "a X\nb Y\n", "x.conll"),
        open_source("tag", "a\tX\nb\tY\n", "x.txt"),
        open_source("tag", "a\tX\nb\tY\n", "x.tsv"),
        open_source("tag", "tokens,tags\na b,X Y\n"),
    ):
        assert source.kind == "text"
        assert inputs(source) == [(["a", "b"],)]
        assert labels(source) == [(["X", "Y"],)]


def test_the_delimiter_of_training_data_is_detected_or_given(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text;label\na, b;X\n")
    source = DataSource.open([str(path)], "classify")
    assert (inputs(source), labels(source)) == ([("a, b",)], [("X",)])
    assert source.delimiter_notes() == [f"{path}: the delimiter is ';'"]
    path.write_text("text:label\na:X\n")
    source = DataSource.open([str(path)], "classify", options=FileOptions(delimiter=":"))
    assert (inputs(source), labels(source)) == ([("a",)], [("X",)])


def test_columns_of_conll_are_numbered(open_source: OpenSource) -> None:
    source = open_source("tag", "a X 1\n", "x.conll", columns=["3"], labels=["2"])
    (row,) = source.rows()
    assert (row.inputs, row.labels) == ((["1"],), (["X"],))
    with pytest.raises(DataFileError, match="column 'word': CoNLL columns have no"):
        open_source("tag", "a X 1\n", "x.conll", columns=["word"])


def test_blank_lines_separate_paragraphs_of_a_corpus(open_source: OpenSource) -> None:
    source = open_source("mlm", "one\n\n  \ntwo\n", "x.txt")
    assert [(row.inputs, row.place.row) for row in source.rows()] == [(("one",), 1), (("two",), 4)]


@pytest.mark.parametrize(("name", "content"), [("x.csv", "text,label\n"), ("x.txt", "")])
def test_an_empty_file_is_an_error(open_source: OpenSource, name: str, content: str) -> None:
    with pytest.raises(DataFileError, match=f"{name}: has no rows"):
        open_source("mlm", content, name)


def test_a_missing_file_is_an_error() -> None:
    with pytest.raises(DataFileError, match=r"none\.csv: no such file"):
        DataSource.open(["none.csv"], "mlm")


def test_standard_input_cannot_be_read_twice() -> None:
    with pytest.raises(DataFileError, match="training reads its data several times"):
        DataSource.open(["-"], "mlm")


def test_parquet_has_texts_symbols_series_and_tags(write: Write) -> None:
    columns = {"x": [[1.0, 2.0], [3.0]], "words": [["a", "b"], ["c"]], "tags": [["X", "Y"], ["X"]]}
    write("x.parquet", "")
    pq.write_table(pa.table(columns | {"y": [1, 2]}), "x.parquet")
    names = ColumnNames(inputs=("x",), labels=("y",))
    series = DataSource.open(["x.parquet"], "regress", names=names)
    assert series.kind == "series"
    (first,) = inputs(series)[0]
    assert np.array_equal(first, [[1.0], [2.0]])
    names = ColumnNames(inputs=("words",), labels=("tags",))
    tagged = DataSource.open(["x.parquet"], "tag", names=names)
    assert labels(tagged) == [(["X", "Y"],), (["X"],)]


def test_each_file_has_its_own_columns(write: Write) -> None:
    files = [write("a.csv", "text,label\na,x\n"), write("b.jsonl", [{"class": 1, "text": "b"}])]
    source = DataSource.open(files, "classify")
    assert labels(source) == [("x",), (1,)]
    assert [row.place.file for row in source.rows()] == files


def test_reading_reports_its_progress(write: Write) -> None:
    files = [write("a.txt", "line\n" * 1500), write("b.txt", "line\n" * 1500)]
    shares: list[float | None] = []
    assert sum(1 for _ in DataSource.open(files, "mlm").rows(shares.append)) == 3000
    assert len(shares) == 3
    assert shares == sorted(share for share in shares if share is not None)
    assert shares[-1] == 1


def test_data_may_lie_in_a_directory_in_other_formats_and_encodings(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.json").write_bytes(
        json.dumps([{"text": "caf\u00e9", "label": "x"}], ensure_ascii=False).encode("latin-1")
    )
    (folder / "b.csv.bz2").write_bytes(bz2.compress("text,label\nth\u00e9,y\n".encode("latin-1")))
    (folder / "notes.md").write_text("left out")
    with pytest.warns(UserWarning, match=r"in: left out files of other formats: notes\.md"):
        source = DataSource.open([str(folder)], "classify", options=FileOptions(encoding="latin-1"))
    assert [(row.inputs, row.labels) for row in source.rows()] == [
        (("caf\u00e9",), ("x",)),
        (("th\u00e9",), ("y",)),
    ]


def test_arrow_files_hold_training_data(tmp_path: Path) -> None:
    table = pa.table({"other": [1, 2], "text": ["a", "b"], "label": ["x", "y"]})
    with pa.ipc.new_stream(str(tmp_path / "x.arrow"), table.schema) as writer:
        writer.write_table(table)
    source = DataSource.open([str(tmp_path / "x.arrow")], "classify")
    assert [row.labels for row in source.rows()] == [("x",), ("y",)]


def test_conll_files_are_found_in_a_directory(tmp_path: Path) -> None:
    (tmp_path / "x.conll.xz").write_bytes(lzma.compress(b"a O\nb B-X\n"))
    source = DataSource.open([str(tmp_path)], "tag")
    assert [row.labels for row in source.rows()] == [(["O", "B-X"],)]


def test_arrays_are_no_training_data(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 3)))
    with pytest.raises(DataFileError, match=r"x\.npy: \.npy files hold series without other"):
        DataSource.open([str(tmp_path / "x.npy")], "classify")


def test_blank_lines_and_nulls_separate_the_texts_of_mlm(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("a\n\n \nb\n\n")
    (tmp_path / "x.jsonl").write_text('{"text": "c"}\n{"text": null}\n{"text": ""}\n')
    source = DataSource.open([str(tmp_path / "x.txt"), str(tmp_path / "x.jsonl")], "mlm")
    assert [row.inputs for row in source.rows()] == [("a",), ("b",), ("c",)]

"""Parquet input."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError
from bothways.files import ReadProgress, Row, read_rows

ReadTable = Callable[..., list[Row]]


@pytest.fixture
def read_table(tmp_path: Path) -> ReadTable:
    def rows(columns: dict[str, "pa.Array[Any]"], **options: Any) -> list[Row]:
        path = tmp_path / "x.parquet"
        pq.write_table(pa.table(columns), path)
        return list(read_rows([str(path)], **options))

    return rows


@pytest.mark.parametrize(
    "type_",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int32(), pa.string()),
    ],
    ids=str,
)
def test_columns_of_text_are_read(read_table: ReadTable, type_: "pa.DataType") -> None:
    if "view" in str(type_) and int(pa.__version__.partition(".")[0]) < 18:
        pytest.skip("this version of pyarrow makes no columns of views")
    texts = ["a", "", "a", "b\u2028c\x00"]
    column = (
        pa.array(texts).cast(type_)
        if "dict" not in str(type_)
        else pa.array(texts).dictionary_encode()
    )
    rows = read_table({"n": pa.array(range(4)), "text": column})
    assert [row.value for row in rows] == texts
    assert str(rows[3].place).endswith("x.parquet, row 4, column 'text'")


@pytest.mark.parametrize("ids", [["a", "b"], [7, 8]])
def test_ids_are_texts_or_whole_numbers(read_table: ReadTable, ids: list[Any]) -> None:
    rows = read_table({"key": pa.array(ids), "text": pa.array(["x", "y"])}, id_column="key")
    assert [row.id for row in rows] == [str(i) for i in ids]


def test_a_null_id_is_an_error(read_table: ReadTable) -> None:
    with pytest.raises(DataFileError, match=r"row 2, column 'key': expected .*, found null"):
        read_table({"key": pa.array([1, None]), "text": pa.array(["x", "y"])}, id_column="key")


def test_one_column_may_hold_both_text_and_id(read_table: ReadTable) -> None:
    (row,) = read_table({"text": pa.array(["x"])}, column="text", id_column="text")
    assert (row.id, row.value) == ("x", "x")


def test_a_null_is_an_error_with_its_row_and_column(read_table: ReadTable) -> None:
    texts = pa.array(["x"] * 5000 + [None])
    with pytest.raises(DataFileError, match="row 5001, column 'text': expected a text, found null"):
        read_table({"text": texts})


@pytest.mark.parametrize(
    "column",
    [pa.array([1]), pa.array([1.5]), pa.array([True]), pa.array([[0.5]]), pa.array([b"x"])],
    ids=lambda column: str(column.type),
)
def test_a_column_of_another_type_is_an_error_that_names_it(
    read_table: ReadTable, column: "pa.Array[Any]"
) -> None:
    with pytest.raises(DataFileError, match=r"column 'x': has type .*; expected text"):
        read_table({"x": column}, column="x")


def test_invalid_utf8_is_an_error_with_its_row(read_table: ReadTable) -> None:
    broken = pa.array([b"fine", b"bad\xff"]).view(pa.string())
    with pytest.raises(DataFileError, match="row 2, column 'text': byte 3 is not valid UTF-8"):
        read_table({"text": broken})


def test_a_selected_column_of_integer_lists_holds_token_ids(read_table: ReadTable) -> None:
    (row,) = read_table({"ids": pa.array([[101, 7, 102]])}, column="ids")
    assert row.value.dtype == np.int64
    assert row.value.tolist() == [101, 7, 102]


def test_lists_of_text_are_symbols(read_table: ReadTable) -> None:
    (row,) = read_table({"events": pa.array([["buy", "sell"]])}, kind="symbols")
    assert row.value == ["buy", "sell"]


@pytest.mark.parametrize("type_", [pa.float32(), pa.float64(), pa.int16()], ids=str)
def test_lists_of_numbers_are_series_of_one_channel(
    read_table: ReadTable, type_: "pa.DataType"
) -> None:
    rows = read_table({"x": pa.array([[1, 2], [3]], pa.list_(type_))}, kind="series")
    assert [row.value.tolist() for row in rows] == [[[1.0], [2.0]], [[3.0]]]
    assert rows[0].value.dtype == np.float64


def test_lists_of_lists_of_numbers_are_series_of_several_channels(read_table: ReadTable) -> None:
    nested = pa.array([[[1.0, 2.0], [3.0, 4.0]]], pa.list_(pa.list_(pa.float64(), 2)))
    (row,) = read_table({"x": nested}, kind="series")
    assert row.value.tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([None], "found null"),
        ([[1.0, None]], "entry 1 of the list is null"),
        ([[[1.0], None]], "expected a list of numbers, found null"),
        ([[[1.0], [1.0, 2.0]]], "position 1: 2 numbers, but position 0 has 1"),
    ],
)
def test_a_value_that_is_not_a_series_is_an_error_with_its_position(
    read_table: ReadTable, values: list[Any], message: str
) -> None:
    nested = isinstance(values[0], list) and isinstance(values[0][0], list)
    type_ = pa.list_(pa.list_(pa.float64())) if nested else pa.list_(pa.float64())
    with pytest.raises(DataFileError, match=rf"row 1, column 'x'.*{message}"):
        read_table({"x": pa.array(values, type_)}, kind="series")


def test_a_file_without_rows_is_empty(read_table: ReadTable) -> None:
    assert read_table({"text": pa.array([], pa.string())}) == []


@pytest.mark.parametrize("kept", [0, 3, 2000, -1])
def test_a_truncated_file_is_an_error(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": [f"text {i}" for i in range(5000)]}), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(
        DataFileError, match=r"x\.parquet: damaged, truncated or not a Parquet file"
    ):
        list(read_rows([str(path)]))


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    texts = [f"text {i * i}" for i in range(5000)]
    pq.write_table(pa.table({"text": texts}), path, use_dictionary=False, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[100:200] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=r"x\.parquet: damaged"):
        list(read_rows([str(path)]))


def test_read_progress_reaches_1(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": [f"text {i}" for i in range(100)]}), path)
    read_progress = ReadProgress([str(path)])
    shares = [
        read_progress.fraction or 0.0 for _ in read_rows([str(path)], read_progress=read_progress)
    ]
    assert shares == sorted(shares)
    assert shares[49] == pytest.approx(0.5, abs=0.01)  # the share is of bytes, rounded down
    assert read_progress.fraction == 1


def test_large_values_are_read_in_small_batches(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    texts = [str(i) * 1_000_000 for i in range(40)]
    # A page is read as a whole, so let no page hold more than a few texts.
    pq.write_table(pa.table({"text": texts}), path, use_dictionary=False, write_batch_size=1)
    before = pa.total_allocated_bytes()
    peak = 0
    for row in read_rows([str(path)]):
        peak = max(peak, pa.total_allocated_bytes() - before)
        assert row.value[0] in "0123456789"
    assert peak < 25_000_000  # bytes; all the texts together have 70 million

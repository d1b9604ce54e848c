"""Parquet input."""

import datetime
import decimal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError
from bothways.files import ReadProgress, Row, read_rows
from bothways.files.pairs import read_pairs

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


UUID_TYPE = getattr(pa, "uuid", lambda: pa.binary(16))()  # since pyarrow 18
NOON = datetime.datetime(2026, 1, 31, 12, 0, 0, 500_000)
UUID = uuid.UUID("12ff2a09-0d84-447b-b2d0-5ecbc554fd4c")
DAY = datetime.date(2026, 1, 31)


@pytest.mark.parametrize(
    ("value", "type_", "spelled"),
    [
        ("a", pa.string(), "a"),
        (7, pa.int64(), "7"),
        (3.0, pa.float64(), "3.0"),
        (0.1, pa.float32(), "0.1"),
        (DAY, pa.date32(), "2026-01-31"),
        (DAY, pa.date64(), "2026-01-31"),
        (NOON, pa.timestamp("us"), "2026-01-31T12:00:00.5"),
        (NOON, pa.timestamp("ms", "Asia/Tokyo"), "2026-01-31T12:00:00.5Z"),
        (1_769_860_800_000_000_001, pa.timestamp("ns"), "2026-01-31T12:00:00.000000001"),
        (1_769_860_800, pa.timestamp("s"), "2026-01-31T12:00:00"),
        (decimal.Decimal("1.50"), pa.decimal128(9, 2), "1.50"),
        (UUID.bytes, pa.binary(16), str(UUID)),
        (UUID.bytes, UUID_TYPE, str(UUID)),
    ],
    ids=str,
)
def test_ids_have_one_spelling(
    read_table: ReadTable, value: Any, type_: "pa.DataType", spelled: str
) -> None:
    keys = pa.array([value], type_)
    columns = {"key": keys, "text": pa.array(["x"]), "other": pa.array(["y"])}
    (row,) = read_table(columns, column="text", id_column="key")
    assert row.id == spelled


def test_ids_of_pairs_have_the_same_spelling(tmp_path: Path) -> None:
    keys = pa.array([1_769_860_800_000_000_001], pa.timestamp("ns"))
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"key": keys, "a": ["x"], "b": ["y"]}), path)
    (row,) = read_pairs([str(path)], columns=("a", "b"), id_column="key")
    assert row.id == "2026-01-31T12:00:00.000000001"


@pytest.mark.parametrize("value", [True, float("nan"), b"raw", [1]])
def test_an_id_of_another_type_is_an_error(read_table: ReadTable, value: Any) -> None:
    columns = {"key": pa.array([value]), "text": pa.array(["x"])}
    with pytest.raises(DataFileError, match=r"row 1, column 'key': expected an id: a text, a num"):
        read_table(columns, id_column="key")


@pytest.mark.parametrize("suffix", ["arrow", "feather", "stream.arrow"])
def test_arrow_files_and_streams_are_read_as_parquet_is(tmp_path: Path, suffix: str) -> None:
    table = pa.table({"key": pa.array([1, 2, 3]), "text": pa.array(["a", None, "c"])})
    path = tmp_path / f"x.{suffix}"
    make = pa.ipc.new_stream if suffix.startswith("stream") else pa.ipc.new_file
    with make(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    read_progress = ReadProgress([str(path)])
    rows = list(
        read_rows([str(path)], id_column="key", on_missing="skip", read_progress=read_progress)
    )
    assert [(row.id, row.value) for row in rows] == [("1", "a"), ("3", "c")]
    assert read_progress.fraction == 1
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataFileError, match=r"truncated or not an Arrow or Feather 2 file"):
        list(read_rows([str(path)]))


def test_a_null_id_is_an_error(read_table: ReadTable) -> None:
    with pytest.raises(DataFileError, match=r"row 2, column 'key': expected .*, found null"):
        read_table({"key": pa.array([1, None]), "text": pa.array(["x", "y"])}, id_column="key")


def test_one_column_may_hold_both_text_and_id(read_table: ReadTable) -> None:
    (row,) = read_table({"text": pa.array(["x"])}, column="text", id_column="text")
    assert (row.id, row.value) == ("x", "x")


def test_a_null_is_an_error_with_its_row_and_column(read_table: ReadTable) -> None:
    texts = pa.array(["x"] * 5000 + [None])
    with pytest.raises(DataFileError, match="row 5001, column 'text': the value is missing"):
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
        ([None], "the value is missing"),
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


def test_names_of_columns_that_are_not_utf8_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": ["a"]}), path)
    path.write_bytes(path.read_bytes().replace(b"text", b"te\xfft"))
    with pytest.raises(DataFileError, match=r"x\.parquet: damaged, truncated or not a Parquet"):
        list(read_rows([str(path)]))


def test_offsets_beyond_the_values_of_an_arrow_file_are_an_error(tmp_path: Path) -> None:
    """Arrow would end the process."""
    path = tmp_path / "x.arrow"
    table = pa.table({"text": ["alpha", "beta"]})
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    offsets = np.array([0, 5, 9], np.int32)
    content = path.read_bytes()
    assert offsets.tobytes() in content
    path.write_bytes(content.replace(offsets.tobytes(), (offsets * 1_000_000).tobytes()))
    with pytest.raises(DataFileError, match=r"x\.arrow: damaged"):
        list(read_rows([str(path)]))


def test_damaged_metadata_of_a_column_is_an_error() -> None:
    """Arrow would end the process where a reader asks for the metadata of that column."""
    path = Path(__file__).parent / "data" / "damaged-metadata.parquet"
    with pytest.raises(DataFileError, match="damaged, truncated or not a Parquet file"):
        list(read_rows([str(path)]))

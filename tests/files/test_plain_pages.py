"""Vectors read from Parquet as they are in the file, and files that must be decoded."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bothways.files.plain_pages import PlainPages, find_plain_pages

VECTORS = np.random.default_rng(0).standard_normal((1000, 24), np.float32)


def write(path: Path, **options: Any) -> None:
    kind = pa.list_(pa.field("element", pa.float32(), nullable=False), 24)
    column = pa.array(list(VECTORS), kind)
    table = pa.table({"id": [str(row) for row in range(1000)], "vector": column})
    settings: dict[str, Any] = {"use_dictionary": False, "compression": "none"}
    pq.write_table(table, path, **(settings | options))


def find(path: Path) -> PlainPages | None:
    with pq.ParquetFile(path) as parquet, path.open("rb") as file:
        return find_plain_pages(file, parquet.metadata, 1, 24)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"row_group_size": 300},
        {"data_page_size": 1000, "write_batch_size": 50},
        {"data_page_version": "2.0"},
        {"write_statistics": False},
        {"write_page_checksum": True},
    ],
)
def test_the_numbers_are_those_that_were_written(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "v.parquet"
    write(path, **options)
    pages = find(path)
    assert pages is not None
    with path.open("rb", buffering=0) as file:
        batches = list(pages.read(file, 24, 333))
        assert [len(batch) for batch in batches] == [333, 333, 333, 1]
        np.testing.assert_array_equal(np.concatenate(batches), VECTORS)
        rows = np.array([0, 1, 299, 300, 640, 641, 642, 999])
        np.testing.assert_array_equal(pages.read_rows(file, 24, rows), VECTORS[rows])


def test_a_vector_may_be_on_several_pages(tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    path.write_bytes(b"head" + VECTORS.tobytes()[:40] + b"x" + VECTORS.tobytes()[40:])
    pages = PlainPages([(4, 5), (24, 5), (45, 24 * 1000 - 10)])
    with path.open("rb", buffering=0) as file:
        rows = np.array([0, 1, 999])
        np.testing.assert_array_equal(pages.read_rows(file, 24, rows), VECTORS[rows])


def test_reading_rows_of_a_file_that_was_cut_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    write(path)
    pages = find(path)
    assert pages is not None
    with path.open("r+b", buffering=0) as file:
        file.truncate(2000)
        with pytest.raises(EOFError):
            pages.read_rows(file, 24, np.array([0, 900]))


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "snappy"},
        {"use_dictionary": True},
        {"use_byte_stream_split": ["vector.list.element"]},
    ],
)
def test_other_encodings_must_be_decoded(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "v.parquet"
    write(path, **options)
    assert find(path) is None


def test_nulls_must_be_decoded(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    kind = pa.list_(pa.float32(), 24)
    rows = [VECTORS[0].tolist(), None, [None] * 24]
    table = pa.table({"id": ["a", "b", "c"], "vector": pa.array(rows, kind)})
    pq.write_table(table, path, use_dictionary=False, compression="none")
    assert find(path) is None


def test_damaged_page_headers_must_be_decoded(tmp_path: Path) -> None:
    """Whatever a header holds, it is refused or gives places within the file."""
    path = tmp_path / "v.parquet"
    write(path)
    with pq.ParquetFile(path) as parquet:
        offset = parquet.metadata.row_group(0).column(1).data_page_offset
        data, rng = path.read_bytes(), np.random.default_rng(0)
        with path.open("r+b") as file:
            for _ in range(2000):
                damaged = bytearray(data[offset : offset + 40])
                for _ in range(rng.integers(1, 4)):
                    damaged[rng.integers(len(damaged))] = rng.integers(256)
                file.seek(offset)
                file.write(damaged)
                file.flush()
                pages = find_plain_pages(file, parquet.metadata, 1, 24)
                if pages is not None:
                    assert sum(count for _, count in pages.pages) == VECTORS.size


def test_a_shorter_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    write(path)
    pages = find(path)
    assert pages is not None
    path.write_bytes(path.read_bytes()[:5000])
    with path.open("rb", buffering=0) as file, pytest.raises(EOFError):
        list(pages.read(file, 24, 100))

"""Files of vectors: their content, and that they are complete or absent."""

import dataclasses
import gc
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError, MissingExtra
from bothways.files import Origin, VectorBatch, open_vector_output, read_origin

MakeRows = Callable[..., VectorBatch]
SUFFIXES = (".parquet", ".npy", ".jsonl")


def write(
    path: Path, origin: Origin, parts: Iterable[VectorBatch] = (), *, overwrite: bool = False
) -> None:
    with open_vector_output(str(path), overwrite=overwrite) as output:
        writer = output.start(origin)
        for part in parts:
            writer.write(part)


def test_parquet_holds_every_column_and_the_origin(
    tmp_path: Path, origin: Origin, encoded: MakeRows
) -> None:
    path = tmp_path / "out.parquet"
    parts = encoded(3), encoded(2, start=3)
    write(path, origin, parts)
    table = pq.read_table(path)
    assert [f"{field.name}: {field.type}" for field in table.schema] == [
        "id: string",
        "text: string",
        "vector: fixed_size_list<element: float not null>[4]",
        "num_tokens: int32",
        "num_unknown: int32",
        "truncated: bool",
    ]
    assert table["id"].to_pylist() == [f"row-{i}" for i in range(5)]
    assert table["text"].to_pylist() == [f"text {i}" for i in range(5)]
    vectors = np.array(table["vector"].to_pylist(), np.float32)
    np.testing.assert_array_equal(vectors, np.concatenate([part.vectors for part in parts]))
    assert table["num_tokens"].to_pylist() == [3, 4, 5, 3, 4]
    assert table["num_unknown"].to_pylist() == [0, 1, 2, 0, 1]
    assert table["truncated"].to_pylist() == [False, True, False, False, True]
    assert table.schema.metadata[b"bothways.fingerprint"] == b"ab" * 32
    assert read_origin(str(path)) == origin


def test_parquet_is_written_in_row_groups_of_bounded_size(
    tmp_path: Path, origin: Origin, encoded: MakeRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bothways.files.row_groups._ROW_GROUP_BYTES", 1 << 14)
    path = tmp_path / "out.parquet"
    write(path, origin, (encoded(100, start=100 * i) for i in range(50)))
    metadata = pq.read_metadata(path)
    assert metadata.num_rows == 5000
    assert metadata.num_row_groups > 5
    assert pq.read_table(path)["id"].to_pylist() == [f"row-{i}" for i in range(5000)]


def test_npy_holds_the_vectors_and_a_file_beside_it_the_origin(
    tmp_path: Path, origin: Origin, encoded: MakeRows
) -> None:
    path = tmp_path / "out.npy"
    parts = [encoded(7, start=7 * i) for i in range(20)]
    write(path, origin, parts)
    vectors = np.load(path, allow_pickle=False)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, np.concatenate([part.vectors for part in parts]))
    facts = json.loads((tmp_path / "out.npy.json").read_text())
    digests = {key: facts.pop(key) for key in ("sha256", "sample_sha256", "ids_sha256")}
    assert facts == {**origin.to_json(), "rows": 140, "bytes": path.stat().st_size}
    assert all(len(digest) == 64 for digest in digests.values())
    assert np.load(path, mmap_mode="r").shape == (140, 4)


def test_jsonl_holds_one_object_per_row_with_the_origin(
    tmp_path: Path, origin: Origin, encoded: MakeRows
) -> None:
    path = tmp_path / "out.jsonl"
    part = encoded(3)
    write(path, origin, [part])
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [list(row) for row in rows] == [
        ["id", "text", "vector", "num_tokens", "num_unknown", "truncated", "origin"]
    ] * 3
    assert [row["id"] for row in rows] == part.ids
    assert [row["text"] for row in rows] == part.texts
    assert [row["truncated"] for row in rows] == [False, True, False]
    assert [row["num_tokens"] for row in rows] == [3, 4, 5]
    assert [row["num_unknown"] for row in rows] == [0, 1, 2]
    assert all(row["origin"] == origin.to_json() for row in rows)


def test_jsonl_numbers_give_the_same_float32_again(
    tmp_path: Path, origin: Origin, encoded: MakeRows
) -> None:
    vectors = np.array([[1e-38, -3.4e38, 0.1, 1 / 3], [0.0, -0.0, 1e-7, 123456.79]], np.float32)
    write(tmp_path / "out.jsonl", origin, [dataclasses.replace(encoded(2), vectors=vectors)])
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    read = np.array([json.loads(line)["vector"] for line in lines], np.float32)
    assert read.tobytes() == vectors.tobytes()


def test_standard_output_is_jsonl(
    origin: Origin, encoded: MakeRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out))
    with open_vector_output("-") as output:
        output.start(origin).write(encoded(2))
    assert [json.loads(line)["id"] for line in out.getvalue().splitlines()] == ["row-0", "row-1"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_rows_make_a_valid_empty_file(tmp_path: Path, origin: Origin, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write(path, origin)
    match suffix:
        case ".parquet":
            assert pq.read_table(path).num_rows == 0
            assert read_origin(str(path)) == origin
        case ".npy":
            assert np.load(path).shape == (0, 4)
        case _:
            assert path.read_bytes() == b""


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_after_an_error(
    tmp_path: Path,
    origin: Origin,
    encoded: MakeRows,
    suffix: str,
    error: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bothways.files.row_groups._ROW_GROUP_BYTES", 1)  # write at once

    def parts() -> Iterator[VectorBatch]:
        yield encoded(5)
        raise error

    with pytest.raises(error):
        write(tmp_path / f"out{suffix}", origin, parts())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_is_left_if_the_model_does_not_load(tmp_path: Path, suffix: str) -> None:
    with (
        pytest.raises(ValueError, match="no model"),
        open_vector_output(str(tmp_path / f"out{suffix}")),
    ):
        raise ValueError("no model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_an_error_that_leaves_nothing(
    tmp_path: Path,
    origin: Origin,
    encoded: MakeRows,
    suffix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resource = pytest.importorskip("resource", reason="needs a limit on the size of files")
    monkeypatch.setattr("bothways.files.row_groups._ROW_GROUP_BYTES", 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))  # bytes
    try:
        with pytest.raises(DataFileError, match=rf"out\{suffix}: writing failed: File too large"):
            write(tmp_path / f"out{suffix}", origin, (encoded(100, start=i) for i in range(100)))
        gc.collect()  # a writer that tried again when collected would warn here
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_existing_file_is_refused_without_overwrite(
    tmp_path: Path, origin: Origin, encoded: MakeRows, suffix: str
) -> None:
    path = tmp_path / f"out{suffix}"
    write(path, origin, [encoded(1)])
    before = path.read_bytes()
    with pytest.raises(DataFileError, match="exists"):
        write(path, origin, [encoded(2)])
    assert path.read_bytes() == before
    write(path, origin, [encoded(2)], overwrite=True)
    assert path.read_bytes() != before


def test_an_existing_origin_file_is_refused_without_overwrite(
    tmp_path: Path, origin: Origin
) -> None:
    (tmp_path / "out.npy.json").write_text("precious")
    with pytest.raises(DataFileError, match=r"out\.npy\.json: already exists"):
        write(tmp_path / "out.npy", origin)
    assert (tmp_path / "out.npy.json").read_text() == "precious"


@pytest.mark.parametrize("name", ["out.txt", "out", "out.parquet.gz"])
def test_an_unknown_format_is_an_error_that_lists_the_known_ones(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(DataFileError, match=r"supported are \.parquet, \.npy, \.jsonl"),
        open_vector_output(str(tmp_path / name)),
    ):
        pytest.fail("the block must not be entered")


def test_a_missing_pyarrow_is_an_error_on_entering_that_names_the_extra(
    tmp_path: Path, no_pyarrow: None
) -> None:
    with (
        pytest.raises(MissingExtra, match=r"out\.parquet needs an extra: .*\[parquet\]"),
        open_vector_output(str(tmp_path / "out.parquet")),
    ):
        pytest.fail("the block must not be entered")


@pytest.mark.parametrize("suffix", [".npy", ".jsonl"])
def test_other_formats_are_written_without_pyarrow(
    tmp_path: Path, origin: Origin, encoded: MakeRows, suffix: str, no_pyarrow: None
) -> None:
    path = tmp_path / f"out{suffix}"
    write(path, origin, [encoded(3)])
    assert read_origin(str(path)) == origin

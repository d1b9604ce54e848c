"""Reading vectors in .parquet files, and malformed ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError
from bothways.files import Origin, find_nearest, read_origin


def test_a_file_that_bothways_did_not_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    pq.write_table(pa.table({"vector": [[1.0]]}), path)
    with pytest.raises(
        DataFileError,
        match=r"no bothways\.model in its metadata; expected a \.parquet file written",
    ):
        read_origin(str(path))


@pytest.mark.parametrize("dimensions", ["many", "0"])
def test_malformed_metadata_is_an_error(tmp_path: Path, origin: Origin, dimensions: str) -> None:
    path = tmp_path / "v.parquet"
    metadata = {**origin.to_metadata(), "bothways.dimensions": dimensions}
    pq.write_table(pa.table({"vector": [[1.0]]}).replace_schema_metadata(metadata), path)
    with pytest.raises(DataFileError, match=rf"bothways\.dimensions is '{dimensions}'"):
        read_origin(str(path))


def test_a_truncated_file_is_an_error(
    tmp_path: Path, origin: Origin, store: Callable[..., str]
) -> None:
    path = tmp_path / "v.parquet"
    store(path, origin, np.eye(4, dtype=np.float32))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(
        DataFileError, match=r"v\.parquet: damaged, truncated or not a Parquet file"
    ):
        read_origin(str(path))


@pytest.mark.parametrize("change", ["a null", "another width", "no vector"])
def test_a_file_changed_after_encoding_is_an_error(
    tmp_path: Path, origin: Origin, change: str
) -> None:
    path = tmp_path / "v.parquet"
    width = 3 if change == "another width" else 4
    vectors: list[list[float] | None] = [
        [0.0] * width,
        None if change == "a null" else [0.0] * width,
    ]
    columns = {
        "id": pa.array(["a", "b"]),
        "text": pa.array(["a", "b"]),
        "vector": pa.array(vectors, pa.list_(pa.float32(), width)),
    }
    if change == "no vector":
        del columns["vector"]
    pq.write_table(pa.table(columns).replace_schema_metadata(origin.to_metadata()), path)
    with pytest.raises(DataFileError, match=r"'vector'|lists to be of size=4"):
        find_nearest(str(path), np.ones(4, np.float32), origin, 1)

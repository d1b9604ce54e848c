"""Which files can be searched, and the libraries that they need."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bothways.errors import DataFileError, MissingExtra
from bothways.files import Origin, find_nearest, read_origin


def test_other_formats_cannot_be_searched(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text("")
    with pytest.raises(DataFileError, match=r"v\.txt: expected a \.parquet, \.npy or \.jsonl file"):
        read_origin(str(path))


@pytest.mark.parametrize("name", ["v.parquet", "v.npy", "v.jsonl"])
def test_a_missing_file_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataFileError, match=f"{name}: no such file"):
        read_origin(str(tmp_path / name))


def test_standard_input_cannot_be_searched() -> None:
    with pytest.raises(DataFileError, match="give a file"):
        read_origin("-")


@pytest.mark.parametrize("suffix", [".npy", ".jsonl"])
def test_only_parquet_needs_pyarrow(
    tmp_path: Path, origin: Origin, store: Callable[..., str], suffix: str, no_pyarrow: None
) -> None:
    vectors = np.eye(4, dtype=np.float32)
    path = store(tmp_path / f"v{suffix}", origin, vectors)
    assert find_nearest(path, vectors[1], origin, 1)[0].row == 1


def test_a_missing_pyarrow_is_an_error_that_names_the_extra(
    tmp_path: Path, no_pyarrow: None
) -> None:
    path = tmp_path / "v.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(MissingExtra, match=r"v\.parquet needs an extra: .*\[parquet\]"):
        read_origin(str(path))


def test_a_directory_without_parquet_files_cannot_be_searched(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    (tmp_path / "b.jsonl").touch()
    with pytest.raises(DataFileError, match=r"no \.parquet files"):
        read_origin(str(tmp_path))

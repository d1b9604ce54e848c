"""A folder of .parquet files, searched as one file."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bothways.errors import DataFileError
from bothways.files import (
    Condition,
    Origin,
    find_like,
    find_nearest,
    find_nearest_many,
    read_origin,
)
from bothways.native import scan_vectors

Store = Callable[..., str]

VECTORS = np.random.default_rng(0).standard_normal((500, 4), np.float32)


@pytest.fixture
def folder(tmp_path: Path, origin: Origin, store: Store) -> str:
    """Three parts, of which the second is empty."""
    path = tmp_path / "vectors"
    path.mkdir()
    for name, rows in {
        "part-0": VECTORS[:200],
        "part-1": VECTORS[:0],
        "part-2": VECTORS[200:],
    }.items():
        store(path / f"{name}.parquet", origin, rows)
    (path / "_done").mkdir()
    (path / ".part-3.parquet.partial").write_bytes(b"half a file")
    return str(path)


def test_the_hits_are_those_of_one_file(
    tmp_path: Path, folder: str, origin: Origin, store: Store
) -> None:
    whole = store(tmp_path / "whole.parquet", origin, VECTORS)
    queries = np.random.default_rng(1).standard_normal((3, 4), np.float32)
    for scan in (None, scan_vectors):
        hits = find_nearest_many(folder, queries, origin, 20, scan=scan)
        expected = find_nearest_many(whole, queries, origin, 20)
        assert [[(hit.rank, hit.row, hit.score) for hit in each] for each in hits] == [
            [(hit.rank, hit.row, hit.score) for hit in each] for each in expected
        ]
    assert read_origin(folder) == origin


def test_ids_are_those_of_the_part(folder: str, origin: Origin) -> None:
    (hit,) = find_nearest(folder, VECTORS[203], origin, 1)
    assert (hit.row, hit.id) == (203, "id-3")


def test_rows_can_be_selected_over_all_parts(folder: str, origin: Origin) -> None:
    hits = find_nearest(folder, VECTORS[0], origin, 9, where=[Condition("id", "id-250")])
    assert [hit.row for hit in hits] == [450]
    assert [hit.row for hit in find_like(folder, "id-299", 1)] != [499]


def test_parts_of_different_origins_are_an_error(folder: str, origin: Origin, store: Store) -> None:
    other = dataclasses.replace(origin, pooling="cls")
    store(Path(folder) / "part-4.parquet", other, VECTORS)
    with pytest.raises(DataFileError, match=r"part-4\.parquet: its vectors have pooling 'cls'"):
        find_nearest(folder, VECTORS[0], origin, 1)


def test_parts_of_different_versions_are_one_file(
    folder: str, origin: Origin, store: Store
) -> None:
    store(Path(folder) / "part-4.parquet", dataclasses.replace(origin, version="9"), VECTORS)
    assert len(find_nearest(folder, VECTORS[0], origin, 2000)) == 1000


def test_a_damaged_part_is_named(folder: str, origin: Origin) -> None:
    (Path(folder) / "part-4.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataFileError, match=r"part-4\.parquet: damaged"):
        find_nearest(folder, VECTORS[0], origin, 1)


def test_a_folder_without_vectors_is_an_error(tmp_path: Path, origin: Origin) -> None:
    with pytest.raises(DataFileError, match=r"no \.parquet files"):
        find_nearest(str(tmp_path), VECTORS[0], origin, 1)

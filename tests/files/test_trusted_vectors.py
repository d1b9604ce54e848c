"""Vectors that another program rewrote, which do not say what made them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError
from bothways.files import Origin, find_like, find_nearest, read_origin

VECTORS = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)


def write_parquet(path: Path, vector_type: Any) -> None:
    columns = {"id": [f"id-{i}" for i in range(5)], "text": [f"text {i}" for i in range(5)]}
    vectors = pa.array(VECTORS.tolist(), vector_type)
    pq.write_table(pa.table({**columns, "vector": vectors}), path, row_group_size=2)


def write_jsonl(path: Path, **changes: Any) -> None:
    rows = [
        {"id": f"id-{i}", "text": f"text {i}", "vector": VECTORS[i].tolist(), **changes}
        for i in range(5)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


WRITERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "pandas": ("v.parquet", lambda path: write_parquet(path, pa.list_(pa.float32()))),
    "pandas, of lists": ("v.parquet", lambda path: write_parquet(path, pa.list_(pa.float64()))),
    "polars": ("v.parquet", lambda path: write_parquet(path, pa.large_list(pa.float32()))),
    "polars, of arrays": ("v.parquet", lambda path: write_parquet(path, pa.list_(pa.float32(), 4))),
    "lines": ("v.jsonl", write_jsonl),
    "lines with null": ("v.jsonl", lambda path: write_jsonl(path, origin=None)),
    "array": ("v.npy", lambda path: np.save(path, VECTORS)),
    "array of float64": ("v.npy", lambda path: np.save(path, VECTORS.astype(np.float64))),
    "array by columns": ("v.npy", lambda path: np.save(path, np.asfortranarray(VECTORS))),
}


@pytest.fixture(params=WRITERS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    name, write = WRITERS[request.param]
    write(tmp_path / name)
    return str(tmp_path / name)


def test_it_is_searched_only_if_it_is_trusted(path: str, origin: Origin) -> None:
    for refused in (
        lambda: read_origin(path),
        lambda: find_nearest(path, VECTORS[3], origin, 1),
        lambda: find_like(path, "3", 1),
    ):
        with pytest.raises(DataFileError, match="--model MODEL --trust"):
            refused()
    (hit,) = find_nearest(path, VECTORS[3], origin, 1, trust=True)
    assert hit.row == 3
    assert hit.score == pytest.approx(1)
    named = not path.endswith(".npy")
    assert (hit.id, hit.text) == (("id-3", "text 3") if named else ("3", None))
    assert len(find_like(path, hit.id, 9, trust=True)) == 4


def test_an_array_of_no_rows_has_no_hits(tmp_path: Path, origin: Origin) -> None:
    path = tmp_path / "v.npy"
    np.save(path, np.zeros((0, 4), np.float32))
    assert find_nearest(str(path), VECTORS[0], origin, 3, trust=True) == []


def test_other_dimensions_than_the_query_are_an_error(path: str, origin: Origin) -> None:
    with pytest.raises(DataFileError, match="have 4 dimensions, the query has 3"):
        find_nearest(path, VECTORS[3, :3], origin, 1, trust=True)


def test_the_origin_of_a_file_that_has_one_is_checked(
    tmp_path: Path, origin: Origin, store: Callable[..., str]
) -> None:
    for suffix in (".parquet", ".jsonl", ".npy"):
        path = store(tmp_path / f"v{suffix}", origin, VECTORS)
        other = Origin.from_json(vars(origin) | {"fingerprint": "cd" * 32}, "test")
        with pytest.raises(DataFileError, match="fingerprint"):
            find_nearest(path, VECTORS[0], other, 1, trust=True)


def test_columns_other_than_the_vectors_may_be_missing(tmp_path: Path, origin: Origin) -> None:
    path = str(tmp_path / "v.parquet")
    pq.write_table(pa.table({"vector": pa.array(VECTORS.tolist())}), path)
    (hit,) = find_nearest(path, VECTORS[3], origin, 1, trust=True)
    assert (hit.id, hit.text) == ("3", None)
    with pytest.raises(DataFileError, match="no column 'id'"):
        find_like(path, "3", 1, trust=True)


@pytest.mark.parametrize(
    "vectors",
    [
        pa.array([[1.0, 2.0], [1.0]]),
        pa.array([[1.0, 2.0], None]),
        pa.array([[1.0, 2.0], [1.0, None]]),
        pa.array([["a", "b"]]),
        pa.array([[], [1.0]]),
        pa.array(["a", "b"]),
        pa.array([1.0, 2.0]),
    ],
    ids=str,
)
def test_a_column_of_anything_but_vectors_is_an_error(
    tmp_path: Path, origin: Origin, vectors: Any
) -> None:
    path = str(tmp_path / "v.parquet")
    pq.write_table(pa.table({"vector": vectors}), path)
    with pytest.raises(DataFileError, match="column 'vector': expected"):
        find_nearest(path, np.ones(2, np.float32), origin, 1, trust=True)


def test_two_columns_of_vectors_are_an_error(tmp_path: Path, origin: Origin) -> None:
    path = str(tmp_path / "v.parquet")
    vectors = pa.array(VECTORS.tolist())
    pq.write_table(pa.table([vectors, vectors], ["vector", "vector"]), path)
    with pytest.raises(DataFileError, match="expected one column 'vector', found 'vector', 've"):
        find_nearest(path, VECTORS[0], origin, 1, trust=True)


@pytest.mark.parametrize(
    "array", [np.ones(3), np.ones((2, 2), int), np.array([None]), np.array(["a"])], ids=str
)
def test_an_array_of_anything_but_vectors_is_an_error(
    tmp_path: Path, origin: Origin, array: np.ndarray
) -> None:
    path = str(tmp_path / "v.npy")
    np.save(path, array, allow_pickle=True)
    with pytest.raises(DataFileError, match=r"v\.npy: (expected rows|not a \.npy file)"):
        find_nearest(path, np.ones(2, np.float32), origin, 1, trust=True)


def test_rows_with_and_without_an_origin_are_not_mixed(
    tmp_path: Path, origin: Origin, store: Callable[..., str]
) -> None:
    path = Path(store(tmp_path / "v.jsonl", origin, VECTORS))
    first, *others = path.read_text().splitlines()
    bare = json.dumps({"id": "x", "vector": [1, 2, 3, 4]})
    for lines in ([bare, *others], [first, bare]):
        path.write_text("\n".join(lines) + "\n")
        with pytest.raises(DataFileError, match="row 2"):
            find_nearest(str(path), VECTORS[0], origin, 1, trust=True)

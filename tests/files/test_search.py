"""Search, compared with a full sort of all rows."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError, InputError, PrecisionWarning
from bothways.files import Origin, find_nearest, find_nearest_many, read_origin

ROUNDING = 1e-6
"""float32 dot products of four numbers round to a few 1e-7."""

SUFFIXES = (".parquet", ".npy", ".jsonl")
WITH_NAMES = (".parquet", ".jsonl")

Store = Callable[..., str]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("k", [1, 7, 1000, 2000])
def test_the_nearest_rows_agree_with_a_full_sort(
    tmp_path: Path,
    origin: Origin,
    store: Store,
    suffix: str,
    k: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bothways.files.row_groups._ROW_GROUP_BYTES", 1 << 12)
    monkeypatch.setattr(f"bothways.files.vector_file_{suffix[1:]}._BATCH_BYTES", 1 << 9)
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((1000, 4), dtype=np.float32)
    query = rng.standard_normal(4, dtype=np.float32)
    path = store(tmp_path / f"v{suffix}", origin, vectors)
    if suffix == ".parquet":
        assert pq.read_metadata(path).num_row_groups > 3

    cosines = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    expected = np.argsort(-cosines)[:k]
    hits = find_nearest(path, query, origin, k)
    assert [hit.row for hit in hits] == expected.tolist()
    assert [hit.rank for hit in hits] == list(range(1, min(k, 1000) + 1))
    if suffix in WITH_NAMES:
        assert [hit.id for hit in hits] == [f"id-{i}" for i in expected]
        assert [hit.text for hit in hits] == [f"text {i}" for i in expected]
    np.testing.assert_allclose([hit.score for hit in hits], cosines[expected], atol=ROUNDING)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_the_same_scores(
    tmp_path: Path, origin: Origin, store: Store, suffix: str
) -> None:
    vectors = np.random.default_rng(1).standard_normal((50, 4), dtype=np.float32)
    path = store(tmp_path / f"v{suffix}", origin, vectors)
    other = store(tmp_path / "other.parquet", origin, vectors)
    scores = [(hit.row, hit.score) for hit in find_nearest(path, vectors[3], origin, 50)]
    assert scores == [(hit.row, hit.score) for hit in find_nearest(other, vectors[3], origin, 50)]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_equal_scores_are_ordered_by_row(
    tmp_path: Path, origin: Origin, store: Store, suffix: str
) -> None:
    vectors = np.tile(np.array([0, 1, 0, 0], np.float32), (250, 1))
    path = store(tmp_path / f"v{suffix}", origin, vectors)
    assert [hit.row for hit in find_nearest(path, vectors[0], origin, 3)] == [0, 1, 2]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("batch_bytes", [1, 1 << 12, 1 << 23])
@pytest.mark.parametrize("dimensions", [1, 7, 384])
def test_equal_vectors_have_one_score_wherever_they_are_in_the_file(
    tmp_path: Path,
    origin: Origin,
    store: Store,
    suffix: str,
    batch_bytes: int,
    dimensions: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bothways.files.row_groups._ROW_GROUP_BYTES", batch_bytes)
    monkeypatch.setattr(f"bothways.files.vector_file_{suffix[1:]}._BATCH_BYTES", batch_bytes)
    rng = np.random.default_rng(2)
    vector, query = rng.standard_normal((2, dimensions), dtype=np.float32)
    origin = dataclasses.replace(origin, dimensions=dimensions)
    path = store(tmp_path / f"v{suffix}", origin, np.tile(vector, (203, 1)))
    one = store(tmp_path / f"one{suffix}", origin, vector[None])
    hits = find_nearest(path, query, origin, 203)
    assert [hit.row for hit in hits] == list(range(203))
    assert {hit.score for hit in hits} == {find_nearest(one, query, origin, 1)[0].score}


def test_equal_vectors_of_many_dimensions_have_one_score(
    tmp_path: Path, origin: Origin, store: Store
) -> None:
    vector, query = np.random.default_rng(3).standard_normal((2, 10_000), dtype=np.float32)
    origin = dataclasses.replace(origin, dimensions=10_000)
    many = store(tmp_path / "v.npy", origin, np.tile(vector, (9, 1)))
    one = store(tmp_path / "one.npy", origin, vector[None])
    scores = {hit.score for path in (many, one) for hit in find_nearest(path, query, origin, 9)}
    (score,) = scores
    cosine = vector @ query / np.linalg.norm(vector) / np.linalg.norm(query)
    assert abs(score - cosine) < ROUNDING


@pytest.mark.parametrize("suffix", [".parquet", ".npy"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_vector_with_nan_or_infinity_is_refused_with_its_row(
    tmp_path: Path, origin: Origin, store: Store, suffix: str, value: float
) -> None:
    vectors = np.ones((5, 4), np.float32)
    vectors[3, 1] = value
    path = store(tmp_path / f"v{suffix}", origin, vectors)
    with pytest.raises(DataFileError, match=rf"v\{suffix}, row 4.*: holds NaN or infinity"):
        find_nearest(path, vectors[0], origin, 1)


def test_a_query_with_nan_is_an_error(tmp_path: Path, origin: Origin, store: Store) -> None:
    path = store(tmp_path / "v.npy", origin, np.eye(4, dtype=np.float32))
    with pytest.raises(InputError, match="query holds NaN"):
        find_nearest(path, np.full(4, np.nan, np.float32), origin, 1)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e30, 3e38])
def test_very_short_and_very_long_vectors_have_their_cosine(
    tmp_path: Path, origin: Origin, store: Store, suffix: str, scale: float
) -> None:
    vectors = (np.array([[0, 1, 0, 0], [1, 1, 0, 0]]) * scale).astype(np.float32)
    path = store(tmp_path / f"v{suffix}", origin, vectors)
    hits = find_nearest(path, np.array([1, 0, 0, 0], np.float32), origin, 2)
    assert [hit.row for hit in hits] == [1, 0]
    np.testing.assert_allclose([hit.score for hit in hits], [0.5**0.5, 0], atol=ROUNDING)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_zero_vector_scores_0(tmp_path: Path, origin: Origin, store: Store, suffix: str) -> None:
    vectors = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [-1, 0, 0, 0]], np.float32)
    path = store(tmp_path / f"v{suffix}", origin, vectors)
    assert [hit.score for hit in find_nearest(path, vectors[1], origin, 3)] == [1, 0, -1]
    assert [hit.score for hit in find_nearest(path, vectors[0], origin, 3)] == [0, 0, 0]


@pytest.mark.parametrize("suffix", WITH_NAMES)
def test_rows_without_text_have_an_id(
    tmp_path: Path, origin: Origin, store: Store, suffix: str
) -> None:
    vectors = np.eye(4, dtype=np.float32)
    path = store(tmp_path / f"v{suffix}", origin, vectors, [None] * 4)
    (hit,) = find_nearest(path, vectors[2], origin, 1)
    assert (hit.id, hit.text) == ("id-2", None)


@pytest.mark.parametrize("suffix", [".parquet", ".npy"])
def test_a_file_without_rows_has_no_hits(
    tmp_path: Path, origin: Origin, store: Store, suffix: str
) -> None:
    path = store(tmp_path / f"v{suffix}", origin, np.empty((0, 4), np.float32))
    assert find_nearest(path, np.ones(4, np.float32), origin, 5) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("field", "other"), [("fingerprint", "cd" * 32), ("pooling", "cls"), ("dimensions", 3)]
)
def test_incomparable_vectors_are_refused_with_both_values(
    tmp_path: Path, origin: Origin, store: Store, suffix: str, field: str, other: object
) -> None:
    vectors = np.eye(4, dtype=np.float32)
    path = store(tmp_path / f"v{suffix}", origin, vectors)
    query = dataclasses.replace(origin, **{field: other})  # type: ignore[arg-type]
    with pytest.raises(DataFileError, match=f"{field} {getattr(origin, field)} .*has {other}"):
        find_nearest(path, vectors[0], query, 1)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_query_may_have_another_prompt(
    tmp_path: Path, origin: Origin, store: Store, suffix: str
) -> None:
    vectors = np.eye(4, dtype=np.float32)
    path = store(tmp_path / f"v{suffix}", origin, vectors)
    query = dataclasses.replace(origin, prompt="query: ")
    assert find_nearest(path, vectors[1], query, 1)[0].row == 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_of_versions_without_the_name_of_the_prompt_are_read(
    tmp_path: Path, origin: Origin, store: Store, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = dataclasses.asdict(origin)
    del fields["prompt_name"]
    monkeypatch.setattr("dataclasses.asdict", lambda _: dict(fields))
    path = store(tmp_path / f"v{suffix}", origin, np.eye(4, dtype=np.float32))
    monkeypatch.undo()
    assert read_origin(path) == origin
    named = dataclasses.replace(origin, prompt_name="query")
    assert read_origin(store(tmp_path / f"w{suffix}", named, np.eye(4, dtype=np.float32))) == named


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("products", [1, 50, 1 << 22])
def test_many_queries_have_the_hits_of_each_query_alone(
    tmp_path: Path,
    origin: Origin,
    store: Store,
    suffix: str,
    products: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bothways.files.nearest._PRODUCTS", products)
    monkeypatch.setattr(f"bothways.files.vector_file_{suffix[1:]}._BATCH_BYTES", 1 << 9)
    rng = np.random.default_rng(4)
    vectors = rng.standard_normal((200, 4), dtype=np.float32)
    vectors[50:60] = vectors[3]
    vectors[9] = 0
    queries = np.concatenate([rng.standard_normal((6, 4), dtype=np.float32), vectors[3:4]])
    path = store(tmp_path / f"v{suffix}", origin, vectors)
    together = find_nearest_many(path, queries, origin, 7)
    assert together == [find_nearest(path, query, origin, 7) for query in queries]
    assert [hit.row for hit in together[-1]] == [3, *range(50, 56)]


@pytest.mark.parametrize("dimensions", [1, 3, 64, 1000])
def test_few_hits_are_the_first_of_all_hits_among_rows_that_differ_by_rounding(
    tmp_path: Path, origin: Origin, store: Store, dimensions: int
) -> None:
    rng = np.random.default_rng(dimensions)
    noise = rng.choice([-1, 0, 1], (500, dimensions)) * 2e-7
    vectors = (rng.standard_normal(dimensions) * (1 + noise)).astype(np.float32)
    vectors[::3] *= np.float32(1e-13)  # too short for float32
    origin = dataclasses.replace(origin, dimensions=dimensions)
    path = store(tmp_path / "v.npy", origin, vectors)
    query = rng.standard_normal(dimensions).astype(np.float32)
    every = find_nearest(path, query, origin, 500)
    for k in (1, 2, 10, 100):
        assert find_nearest(path, query, origin, k) == every[:k]


def test_no_queries_have_no_hits(tmp_path: Path, origin: Origin, store: Store) -> None:
    path = store(tmp_path / "v.npy", origin, np.eye(4, dtype=np.float32))
    assert find_nearest_many(path, np.empty((0, 4), np.float32), origin, 1) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_query_of_another_precision_is_said(
    tmp_path: Path, origin: Origin, store: Store, suffix: str
) -> None:
    path = store(tmp_path / f"v{suffix}", origin, np.eye(4, dtype=np.float32))
    other = dataclasses.replace(origin, precision="int8")
    with pytest.warns(
        PrecisionWarning, match=r"encoded in fp32, the query in int8.*--precision fp"
    ):
        assert find_nearest(path, np.ones(4, np.float32), other, 1)

"""The nearest rows, against all rows sorted."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bothways.errors import DataFileError
from bothways.files import Encoded, Origin, nearest, read_origin, vector_output

ROUNDING = 1e-6
"""float32 dot products of four numbers round to a few 1e-7."""


def write(path: Path, origin: Origin, vectors: np.ndarray, texts: list[str | None]) -> str:
    with vector_output(str(path)) as output:
        writer = output.begin(origin)
        for start in range(0, len(vectors), 100):
            part = slice(start, min(start + 100, len(vectors)))
            count = part.stop - part.start
            ids = [f"id-{i}" for i in range(part.start, part.stop)]
            tokens, truncated = np.full(count, 3), np.zeros(count, bool)
            writer.write(Encoded(ids, texts[part], vectors[part], tokens, truncated))
    return str(path)


def texts_for(vectors: np.ndarray) -> list[str | None]:
    return [f"text {i}" for i in range(len(vectors))]


@pytest.mark.parametrize("k", [1, 7, 1000, 2000])
def test_the_nearest_are_those_of_a_full_sort(
    tmp_path: Path, origin: Origin, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bothways.files.writers._ROW_GROUP_BYTES", 1 << 12)
    monkeypatch.setattr("bothways.files.search._BATCH_BYTES", 1 << 9)
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((1000, 4), dtype=np.float32)
    query = rng.standard_normal(4, dtype=np.float32)
    path = write(tmp_path / "v.parquet", origin, vectors, texts_for(vectors))
    assert pq.read_metadata(path).num_row_groups > 3

    cosines = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    expected = np.argsort(-cosines)[:k]
    found = nearest(path, query, origin, k)
    assert [hit.row for hit in found] == expected.tolist()
    assert [hit.rank for hit in found] == list(range(1, min(k, 1000) + 1))
    assert [hit.id for hit in found] == [f"id-{i}" for i in expected]
    assert [hit.text for hit in found] == [f"text {i}" for i in expected]
    np.testing.assert_allclose([hit.score for hit in found], cosines[expected], atol=ROUNDING)


def test_equal_scores_are_ordered_by_row(tmp_path: Path, origin: Origin) -> None:
    vectors = np.tile(np.array([0, 1, 0, 0], np.float32), (250, 1))
    path = write(tmp_path / "v.parquet", origin, vectors, texts_for(vectors))
    assert [hit.row for hit in nearest(path, vectors[0], origin, 3)] == [0, 1, 2]


def test_a_vector_of_length_0_scores_0(tmp_path: Path, origin: Origin) -> None:
    vectors = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [-1, 0, 0, 0]], np.float32)
    path = write(tmp_path / "v.parquet", origin, vectors, texts_for(vectors))
    assert [hit.score for hit in nearest(path, vectors[1], origin, 3)] == [1, 0, -1]
    assert [hit.score for hit in nearest(path, vectors[0], origin, 3)] == [0, 0, 0]


def test_rows_without_text_are_found_by_id(tmp_path: Path, origin: Origin) -> None:
    vectors = np.eye(4, dtype=np.float32)
    path = write(tmp_path / "v.parquet", origin, vectors, [None] * 4)
    (hit,) = nearest(path, vectors[2], origin, 1)
    assert (hit.id, hit.text) == ("id-2", None)


def test_no_rows_give_nothing(tmp_path: Path, origin: Origin) -> None:
    path = write(tmp_path / "v.parquet", origin, np.empty((0, 4), np.float32), [])
    assert nearest(path, np.ones(4, np.float32), origin, 5) == []


@pytest.mark.parametrize(
    ("field", "other"), [("fingerprint", "cd" * 32), ("pooling", "cls"), ("dimensions", 3)]
)
def test_vectors_of_another_space_are_refused_with_both_named(
    tmp_path: Path, origin: Origin, field: str, other: object
) -> None:
    vectors = np.eye(4, dtype=np.float32)
    path = write(tmp_path / "v.parquet", origin, vectors, texts_for(vectors))
    query = dataclasses.replace(origin, **{field: other})  # type: ignore[arg-type]
    with pytest.raises(DataFileError, match=f"{field} {getattr(origin, field)} .*has {other}"):
        nearest(path, vectors[0], query, 1)


def test_a_query_may_have_a_prompt_of_its_own(tmp_path: Path, origin: Origin) -> None:
    vectors = np.eye(4, dtype=np.float32)
    path = write(tmp_path / "v.parquet", origin, vectors, texts_for(vectors))
    query = dataclasses.replace(origin, prompt="query: ")
    assert nearest(path, vectors[1], query, 1)[0].row == 1


def test_a_file_that_bothways_did_not_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    pq.write_table(pa.table({"vector": [[1.0]]}), path)
    with pytest.raises(
        DataFileError, match=r"no bothways\.model; expected a \.parquet file written"
    ):
        read_origin(str(path))


def test_malformed_metadata_is_an_error(tmp_path: Path, origin: Origin) -> None:
    path = tmp_path / "v.parquet"
    metadata = {**origin.to_metadata(), "bothways.dimensions": "many"}
    pq.write_table(pa.table({"vector": [[1.0]]}).replace_schema_metadata(metadata), path)
    with pytest.raises(DataFileError, match=r"bothways\.dimensions is 'many'"):
        read_origin(str(path))


def test_other_formats_cannot_be_searched(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text("{}\n")
    with pytest.raises(DataFileError, match=r"v\.jsonl: expected a \.parquet file"):
        read_origin(str(path))


def test_a_file_cut_short_is_an_error(tmp_path: Path, origin: Origin) -> None:
    path = tmp_path / "v.parquet"
    write(path, origin, np.eye(4, dtype=np.float32), [None] * 4)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataFileError, match=r"v\.parquet: damaged, cut short"):
        read_origin(str(path))


@pytest.mark.parametrize("change", ["a null", "another width", "no text"])
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
    if change == "no text":
        del columns["text"]
    pq.write_table(pa.table(columns).replace_schema_metadata(origin.to_metadata()), path)
    with pytest.raises(DataFileError, match=r"'vector'|'text'"):
        nearest(str(path), np.ones(4, np.float32), origin, 1)

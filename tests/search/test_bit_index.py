"""Indexes of folders: what they find, which parts they cover, and which folders they refuse."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.support.folder_search import QUERIES, opened, search, search_by_index
from tests.support.vector_parts import ORIGIN, clustered, write_part

from bothways import native
from bothways.errors import DataFileError, InputError
from bothways.files import Condition, find_like, find_nearest, find_nearest_many
from bothways.files.vector_folder import VectorFolder
from bothways.files.vector_form import VectorForm, hash_ranges
from bothways.model.quantization import quantization_ranges
from bothways.search import build_index, open_index


def bits_of(folder: str) -> dict[str, int]:
    """The files of bits, and when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in Path(folder, "_index").glob("*.bits")}


def test_an_index_finds_the_nearest_rows_with_their_exact_scores(folder: str) -> None:
    report = build_index(folder)
    assert (report.rows, report.parts, report.indexed) == (3000, 2, 2)
    assert report.bytes == sum(
        path.stat().st_size for path in Path(folder, "_index").glob("*.bits")
    )
    exact = search(folder)
    assert search_by_index(folder) == exact
    assert search_by_index(folder, scan=native.scan_vectors) == exact
    assert [
        find_nearest(folder, query, ORIGIN, 5, index=opened(folder)) for query in QUERIES
    ] == exact


def test_the_index_is_used(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build_index(folder)
    monkeypatch.setattr("bothways.search.bit_index.scan_batches", None)
    search_by_index(folder)


def test_without_the_engine_the_hits_are_the_same(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_index(folder)
    hits = search_by_index(folder)
    monkeypatch.setattr(native, "is_built", lambda: False)
    assert search_by_index(folder) == hits


def test_the_recall_is_measured(folder: str) -> None:
    recalls = {}
    for oversampling in (1, 20):
        build_index(folder, oversampling=oversampling)
        recall = opened(folder).recall
        assert recall is not None
        assert (recall.k, recall.queries) == (10, 50)
        recalls[oversampling] = recall.value
    assert 0.2 < recalls[1] < 0.9
    assert 0.97 < recalls[20] <= 1


def test_a_query_finds_no_more_with_others_beside_it(folder: str) -> None:
    build_index(folder, oversampling=1)
    many = search_by_index(folder, 10)
    assert [
        find_nearest(folder, query, ORIGIN, 10, index=opened(folder)) for query in QUERIES
    ] == many
    assert many != search(folder, 10)


def test_rows_can_be_selected(folder: str) -> None:
    build_index(folder)
    row_id = search(folder, 200)[0][150].id
    (hits, *_) = search_by_index(folder, where=[Condition("id", row_id)])
    assert [hit.id for hit in hits] == [row_id]
    like = find_like(folder, row_id, 3, index=opened(folder))
    assert like == find_like(folder, row_id, 3)
    assert row_id not in [hit.id for hit in like]
    assert [hit.rank for hit in like] == [1, 2, 3]


def test_more_rows_than_there_are_candidates_for_are_found_exactly(folder: str) -> None:
    build_index(folder)
    assert search_by_index(folder, 3000) == search(folder, 3000)


def test_new_and_changed_parts_are_searched_exactly(folder: str) -> None:
    write_part(Path(folder, "part-2.parquet"), clustered(1500, 7))
    build_index(folder, oversampling=2)
    write_part(Path(folder, "part-1.parquet"), np.concatenate([QUERIES, clustered(1500, 4)]))
    write_part(Path(folder, "part-3.parquet"), QUERIES)
    assert opened(folder).missing_parts() == ["part-1.parquet", "part-3.parquet"]
    for number, hits in enumerate(search_by_index(folder, 2)):
        assert [hit.id for hit in hits] == [f"part-1/{number}", f"part-3/{number}"]


def test_a_removed_part_is_not_searched(folder: str) -> None:
    build_index(folder)
    Path(folder, "part-0.parquet").unlink()
    assert search_by_index(folder) == search(folder)


def test_only_new_and_changed_parts_are_indexed_again(folder: str) -> None:
    build_index(folder)
    before = bits_of(folder)
    assert build_index(folder).indexed == 0
    os.utime(Path(folder, "part-0.parquet"))  # as a copy of the folder has it
    assert opened(folder).missing_parts() == ["part-0.parquet"]
    assert build_index(folder).indexed == 0
    assert opened(folder).missing_parts() == []
    assert bits_of(folder) == before
    write_part(Path(folder, "part-1.parquet"), clustered(1500, 5))
    write_part(Path(folder, "part-2.parquet"), clustered(1500, 6))
    assert build_index(folder).indexed == 2
    after = bits_of(folder)
    assert len(after) == 3
    assert len(after.items() & before.items()) == 1
    assert search_by_index(folder) == search(folder)


def test_an_interrupted_run_leaves_the_index_as_it_was(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_index(folder)
    write_part(Path(folder, "part-1.parquet"), clustered(1500, 5))
    with monkeypatch.context() as patch:
        patch.setattr("bothways.search.build._recall", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            build_index(folder)
    assert opened(folder).missing_parts() == ["part-1.parquet"]
    assert search_by_index(folder) == search(folder)
    build_index(folder)
    assert len(bits_of(folder)) == 2


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_vectors_that_must_be_decoded_are_indexed(folder: str) -> None:
    path = Path(folder, "part-0.parquet")
    pq.write_table(pq.read_table(path), path, compression="zstd", row_group_size=400)
    build_index(folder)
    assert search_by_index(folder) == search(folder)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_few_rows_are_indexed(tmp_path: Path, rows: int) -> None:
    write_part(tmp_path / "v.parquet", clustered(rows, 0))
    report = build_index(str(tmp_path))
    assert report.rows == rows
    assert (report.recall is None) == (rows < 2)
    assert search_by_index(str(tmp_path)) == search(str(tmp_path))


def test_an_index_of_another_origin_is_refused(folder: str) -> None:
    build_index(folder)
    index = opened(folder)
    for part in Path(folder).glob("*.parquet"):
        write_part(part, clustered(1500, 1), prompt="query: ")
    with pytest.raises(DataFileError, match=r"index\.json: indexes vectors with prompt ''"):
        search(folder, index=index)
    assert build_index(folder).indexed == 2
    assert search_by_index(folder) == search(folder)


def test_an_index_of_another_job_is_refused(folder: str) -> None:
    job = Path(folder, "job.json")
    job.write_text('{"job_id": "first"}')
    build_index(folder)
    search_by_index(folder)
    job.write_text('{"job_id": "second"}')
    with pytest.raises(DataFileError, match="job_id 'first'"):
        search_by_index(folder)


def test_a_folder_may_be_named_in_another_way(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build_index(folder)
    monkeypatch.chdir(folder)
    assert search(".", index=opened(folder)) == search(".")


def test_an_index_of_another_folder_is_refused(folder: str, tmp_path: Path) -> None:
    build_index(folder)
    with pytest.raises(DataFileError, match="not the folder of the index"):
        search(str(tmp_path / "vectors" / "part-0.parquet"), index=opened(folder))


def test_a_vector_with_nan_is_named(folder: str) -> None:
    vectors = clustered(1500, 1)
    vectors[7, 3] = np.nan
    write_part(Path(folder, "part-1.parquet"), vectors)
    with pytest.raises(DataFileError, match=r"part-1\.parquet, row 8, column 'vector': holds NaN"):
        build_index(folder)
    assert open_index(folder) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda fields: fields | {"format_version": 2},
        lambda fields: fields | {"oversampling": 0},
        lambda fields: fields | {"dimensions": "70"},
        lambda fields: fields | {"parts": [1]},
        lambda fields: fields | {"parts": [fields["parts"][0] | {"bits": "../x"}]},
        lambda fields: fields | {"parts": [fields["parts"][0] | {"rows": -1}]},
        lambda fields: fields | {"recall": {"value": 1}},
        lambda fields: fields | {"unknown": 1},
        lambda fields: {},
    ],
)
def test_a_damaged_index_is_an_error(
    folder: str, damage: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    build_index(folder)
    path = Path(folder, "_index", "index.json")
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(DataFileError, match=r"index\.json: .*delete .* and index the folder again"):
        open_index(folder)


@pytest.mark.parametrize("size", [None, 0, 100, 1500 * 16 + 8])
def test_damaged_bits_are_an_error(folder: str, size: int | None) -> None:
    build_index(folder)
    path = next(Path(folder, "_index").glob("part-0.*.bits"))
    if size is None:
        path.unlink()
    else:
        os.truncate(path, size)
    with pytest.raises(DataFileError, match=r"\.bits: .*index the folder again"):
        search_by_index(folder)


def test_bits_with_other_rows_than_the_part_are_an_error(folder: str) -> None:
    build_index(folder)
    path = Path(folder, "_index", "index.json")
    fields = json.loads(path.read_text())
    fields["parts"][0]["rows"] = 1400
    path.write_text(json.dumps(fields))
    with pytest.raises(DataFileError, match=r"part-0\..*bits: truncated or damaged; delete"):
        search_by_index(folder)


def test_a_file_has_no_index(folder: str) -> None:
    assert open_index(f"{folder}/part-0.parquet") is None
    assert open_index(folder) is None


def test_an_impossible_oversampling_is_an_error(folder: str) -> None:
    with pytest.raises(InputError, match="oversampling=0"):
        build_index(folder, oversampling=0)


def test_only_parts_with_hits_are_opened(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build_index(folder)
    expected = search(folder, 1)
    opened_parts: list[str] = []
    open_part: Any = VectorFolder.open_part

    def count(self: VectorFolder, path: str) -> Any:
        opened_parts.append(path)
        return open_part(self, path)

    monkeypatch.setattr(VectorFolder, "open_part", count)
    assert search_by_index(folder, 1) == expected
    hit_parts = {int(hits[0].row >= 1500) for hits in expected}
    assert len(opened_parts) == len(hit_parts)


def test_many_queries_are_divided_among_threads(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bothways.search.sign_bits.num_threads", lambda _: 3)
    build_index(folder)
    queries = clustered(40, 4)
    index = opened(folder)
    many = find_nearest_many(folder, queries, ORIGIN, 5, index=index)
    assert many == [find_nearest(folder, query, ORIGIN, 5, index=index) for query in queries]


@pytest.mark.parametrize("form", ["f16", "int8", "binary"])
def test_folders_of_quantized_vectors_are_indexed(tmp_path: Path, form: VectorForm) -> None:
    folder = tmp_path / "vectors"
    folder.mkdir()
    vectors = clustered(3000, 1)
    ranges = quantization_ranges(vectors) if form == "int8" else None
    digest = "" if ranges is None else hash_ranges(ranges)
    for part in range(2):
        rows = vectors[part::2]
        path = folder / f"part-{part}.parquet"
        write_part(path, rows, ranges, vectors_as=form, ranges_sha256=digest)
    report = build_index(str(folder))
    assert report.recall is not None
    assert report.recall.value > 0.95
    assert search_by_index(str(folder)) == search(str(folder))

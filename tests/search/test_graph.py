"""Graphs in indexes of folders: what they find, and which parts they cover."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.folder_search import QUERIES, opened, search, search_by_index
from tests.support.vector_parts import clustered, write_part

from bothways.errors import DataFileError
from bothways.files import Condition
from bothways.search import build_index, open_index

pytest.importorskip("usearch", reason="usearch is not installed; make test-extras installs it")


def graphs(folder: str) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in Path(folder, "_index").glob("*.usearch")}


@pytest.fixture
def without_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where signs or all vectors are compared."""
    monkeypatch.setattr("bothways.search.bit_index.scan_batches", None)
    monkeypatch.setattr("bothways.search.bit_index.NearestBits.add", None)


def test_a_graph_finds_the_nearest_rows_with_their_exact_scores(
    folder: str, request: pytest.FixtureRequest
) -> None:
    report = build_index(folder, graph=True)
    assert report.graph_bytes == sum(
        path.stat().st_size for path in Path(folder, "_index").glob("*.usearch")
    )
    assert report.graph_recall is not None
    assert report.graph_recall.value > 0.99
    exact = search(folder)
    request.getfixturevalue("without_bits")
    assert search_by_index(folder) == exact
    assert [hits[:1] for hits in exact] == search_by_index(folder, 1)


def test_the_recall_of_the_graph_is_that_of_its_candidates(folder: str) -> None:
    recalls = [build_index(folder, graph=True, oversampling=n).graph_recall for n in (1, 10)]
    assert opened(folder).recall == recalls[1]
    assert recalls[0] is not None
    assert recalls[1] is not None
    assert recalls[0].value <= recalls[1].value
    assert len(graphs(folder)) == 1


def test_signs_serve_for_a_selection_and_without_usearch(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_index(folder, graph=True)
    row_id = search(folder, 200)[0][150].id
    (hits, *_) = search_by_index(folder, where=[Condition("id", row_id)])
    assert [hit.id for hit in hits] == [row_id]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "usearch.index", None)
        index = opened(folder)
        assert index.lacks_usearch
        assert search(folder, index=index) == search(folder)
        bits = index.recall
    assert not opened(folder).lacks_usearch
    graph = opened(folder).recall
    fields = json.loads(Path(folder, "_index", "index.json").read_text())
    assert bits is not None
    assert graph is not None
    assert (bits.value, graph.value) == (
        fields["recall"]["value"],
        fields["graph"]["recall"]["value"],
    )


def test_parts_that_the_graph_lacks_are_searched_by_their_signs(folder: str) -> None:
    build_index(folder, graph=True)
    before = graphs(folder)
    write_part(Path(folder, "part-00.parquet"), np.concatenate([QUERIES, clustered(1500, 4)]))
    build_index(folder)
    assert graphs(folder) == before
    assert opened(folder).missing_parts() == []
    assert [hits[0].id for hits in search_by_index(folder)] == [f"part-00/{n}" for n in range(5)]
    assert search_by_index(folder) == search(folder)


def test_new_parts_are_added_and_the_rest_is_kept(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_index(folder, graph=True)
    assert build_index(folder, graph=True).indexed == 0
    write_part(Path(folder, "part-00.parquet"), np.concatenate([QUERIES, clustered(300, 4)]))
    added: list[tuple[int, int, int]] = []
    from bothways.search.graph import VectorGraph

    add = VectorGraph.add

    def watch(self: VectorGraph, vectors: np.ndarray, part: int, row: int) -> None:
        added.append((len(vectors), part, row))
        add(self, vectors, part, row)

    monkeypatch.setattr(VectorGraph, "add", watch)
    build_index(folder, graph=True)
    assert sum(count for count, _, _ in added) == 305
    assert {part for _, part, _ in added} == {2}
    assert len(graphs(folder)) == 1
    assert search_by_index(folder) == search(folder)


def test_a_graph_of_which_much_is_gone_is_built_again(folder: str) -> None:
    build_index(folder, graph=True)
    write_part(Path(folder, "part-1.parquet"), clustered(1400, 9))
    assert search_by_index(folder) == search(folder)
    build_index(folder, graph=True)
    fields = json.loads(Path(folder, "_index", "index.json").read_text())
    assert [(name, rows) for name, _, rows in fields["graph"]["parts"]] == [
        ("part-0.parquet", 1500), ("part-1.parquet", 1400)
    ]  # fmt: skip
    assert search_by_index(folder) == search(folder)


def test_rows_of_a_removed_part_are_not_found(folder: str) -> None:
    write_part(Path(folder, "part-2.parquet"), clustered(600, 5))
    build_index(folder, graph=True)
    Path(folder, "part-2.parquet").unlink()
    assert search_by_index(folder) == search(folder)


def test_zero_and_huge_vectors_have_their_scores(folder: str) -> None:
    vectors = clustered(1500, 1)
    vectors[3] = 0
    vectors[4] = QUERIES[0] * np.float32(1e25)
    vectors[5] = QUERIES[1] * np.float32(1e-25)
    write_part(Path(folder, "part-0.parquet"), vectors)
    build_index(folder, graph=True)
    assert search_by_index(folder) == search(folder)
    assert [hits[0].id for hits in search_by_index(folder)[:2]] == ["part-0/4", "part-0/5"]


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_few_rows_have_a_graph(tmp_path: Path, rows: int) -> None:
    write_part(tmp_path / "v.parquet", clustered(rows, 0))
    report = build_index(str(tmp_path), graph=True)
    assert (report.graph_recall is None) == (rows < 2)
    assert search_by_index(str(tmp_path)) == search(str(tmp_path))


@pytest.mark.parametrize("size", [None, 0, 100])
def test_a_damaged_graph_is_an_error_and_is_built_again(folder: str, size: int | None) -> None:
    build_index(folder, graph=True)
    (path,) = Path(folder, "_index").glob("*.usearch")
    if size is None:
        path.unlink()
    else:
        os.truncate(path, size)
    with pytest.raises(DataFileError, match=r"\.usearch: .*index the folder again"):
        search_by_index(folder)
    build_index(folder, graph=True)
    assert search_by_index(folder) == search(folder)


def test_a_file_that_is_no_graph_is_an_error(folder: str) -> None:
    build_index(folder, graph=True)
    (path,) = Path(folder, "_index").glob("*.usearch")
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(DataFileError, match=r"\.usearch: .*index the folder again"):
        search_by_index(folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda graph: graph | {"file": "../x"},
        lambda graph: graph | {"bytes": -1},
        lambda graph: graph | {"oversampling": 0},
        lambda graph: graph | {"parts": [["a"]]},
        lambda graph: graph | {"unknown": 1},
        lambda graph: {},
    ],
)
def test_a_damaged_description_of_a_graph_is_an_error(
    folder: str, damage: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    build_index(folder, graph=True)
    path = Path(folder, "_index", "index.json")
    fields = json.loads(path.read_text())
    path.write_text(json.dumps(fields | {"graph": damage(fields["graph"])}))
    with pytest.raises(DataFileError, match=r"index\.json: .*delete .* and index the folder again"):
        open_index(folder)


def test_a_graph_of_another_origin_is_refused(folder: str) -> None:
    build_index(folder, graph=True)
    index = opened(folder)
    for part in Path(folder).glob("*.parquet"):
        write_part(part, clustered(1500, 1), prompt="query: ")
    with pytest.raises(DataFileError, match=r"index\.json: indexes vectors with prompt ''"):
        search(folder, index=index)
    build_index(folder, graph=True)
    assert search_by_index(folder) == search(folder)

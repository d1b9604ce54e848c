"""`bothways.map`: projections, exact neighbors, clusters and their labels, and what it reads."""

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors
from tests.support.vector_parts import clustered, write_part

import bothways
from bothways import VectorMap
from bothways.errors import DataFileError, InputError, MissingExtra
from bothways.files.nearest import normalize, scan_with_numpy
from bothways.views.map.clusters import cluster_vectors, label_clusters
from bothways.views.map.columns import parse_column
from bothways.views.map.neighbors import nearest_by_cosine, nearest_on_map
from bothways.views.map.page import longest_text, map_page
from bothways.views.map.projection import principal_components

VECTORS = clustered(600, seed=1)


@pytest.fixture(scope="module")
def view() -> VectorMap:
    return bothways.map(VECTORS)


def test_neighbors_are_exact(view: VectorMap) -> None:
    vectors = normalize(VECTORS)
    expected = NearestNeighbors(n_neighbors=16, algorithm="brute").fit(vectors).kneighbors(vectors)
    assert (view.neighbors == expected[1][:, 1:]).all()
    cosines = np.einsum("nd,nkd->nk", vectors, vectors[view.neighbors])
    assert view.cosines == pytest.approx(cosines, abs=1e-5)


def test_neighbors_of_equal_and_zero_vectors() -> None:
    vectors = np.zeros((300, 4), np.float32)
    vectors[:150, 0] = 1
    found = nearest_by_cosine(vectors, 3, scan_with_numpy, lambda _: None)
    assert found.indices[0].tolist() == [1, 2, 3]
    assert found.indices[149].tolist() == [0, 1, 2]
    assert found.cosines[200].tolist() == [0, 0, 0]
    assert nearest_on_map(np.zeros((300, 2)), 3).shape == (300, 3)


@pytest.mark.parametrize("rows", [4, 16, 100, 700])
def test_neighbors_on_the_map_are_exact(rows: int) -> None:
    points = np.random.default_rng(0).standard_normal((rows, 2)) ** 3
    k = min(15, rows - 1)
    expected = NearestNeighbors(n_neighbors=k + 1).fit(points).kneighbors(points)[1][:, 1:]
    assert (nearest_on_map(points, k) == expected).all()


def test_the_share_of_kept_neighbors_and_trustworthiness(view: VectorMap) -> None:
    on_map = NearestNeighbors(n_neighbors=16).fit(view.coordinates)
    near = on_map.kneighbors(view.coordinates)[1][:, 1:]
    kept = [len(set(a) & set(b)) / 15 for a, b in zip(near, view.neighbors, strict=True)]
    assert view.kept == pytest.approx(kept)
    expected = trustworthiness(normalize(VECTORS), view.coordinates, n_neighbors=15)
    assert view.trustworthiness == pytest.approx(expected, abs=1e-6)


def test_principal_components_are_those_of_an_exact_decomposition() -> None:
    vectors = VECTORS + 3
    found = principal_components(vectors, 5, seed=0)
    exact = PCA(5, svd_solver="full").fit(vectors.astype(np.float64))
    assert found.shares == pytest.approx(exact.explained_variance_ratio_, rel=1e-3)
    signs = np.sign(exact.components_[np.arange(5), np.abs(exact.components_).argmax(axis=1)])
    expected = exact.transform(vectors) * signs
    assert found.coordinates[:, :2] == pytest.approx(expected[:, :2], abs=0.02)


def test_components_beyond_the_rank_are_zero() -> None:
    vectors = np.outer(np.arange(6), np.ones(3)).astype(np.float32)
    found = principal_components(vectors, 4, seed=0)
    assert found.coordinates.shape == (6, 4)
    assert np.abs(found.coordinates[:, 1:]).max() < 1e-4
    assert found.shares[0] == pytest.approx(1)
    assert principal_components(np.ones((4, 3), np.float32), 2, 0).shares.tolist() == [0, 0]


def test_the_same_seed_makes_the_same_map(view: VectorMap) -> None:
    again = bothways.map(VECTORS)
    assert (again.coordinates == view.coordinates).all()
    assert (again.clusters == view.clusters).all()
    assert again.html == view.html


def test_clusters_are_found_and_the_largest_is_first() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [10, 30, 20])
    vectors = (10 * np.eye(3)[truth] + rng.standard_normal((60, 3))).astype(np.float32)
    clusters = cluster_vectors(vectors, 3, seed=0)
    assert clusters.tolist() == [2] * 10 + [0] * 30 + [1] * 20
    assert set(cluster_vectors(np.ones((5, 2), np.float32), 3, seed=0)) == {0}


def test_labels_are_words_that_are_distinctive() -> None:
    texts = ["the River and the bank", "a river bank"] * 10 + ["the loan of the bank"] * 20
    labels = label_clusters(np.repeat([0, 1], 20), [*texts])
    assert labels[0].split(", ")[0] == "river"
    assert "loan" in labels[1].split(", ")
    assert label_clusters(np.array([0, 1]), [None, ""]) == ["cluster 1", "cluster 2"]
    assert label_clusters(np.array([0, 0, 1]), ["same", "same", "same"])[0] == "cluster 1"


def test_columns_are_numbers_dates_or_categories() -> None:
    stars = parse_column("stars", ["5", None, "3.5", ""], "x")
    assert stars.kind == "number"
    assert stars.values[[0, 2]].tolist() == [5, 3.5]
    assert np.isnan(stars.values[[1, 3]]).all()
    assert parse_column("code", ["007", "5"], "x").kind == "category"
    assert parse_column("n", np.array([1.5, np.inf]), "x").values[0] == 1.5
    days = parse_column("day", [datetime.date(1970, 1, 3), None], "x")
    assert days.kind == "date"
    assert days.values[0] == 2
    noon = parse_column("at", [datetime.datetime(1970, 1, 1, 12)], "x")
    assert noon.values.tolist() == [0.5]
    flags = parse_column("flag", [True, False, True, None], "x")
    assert flags.categories == ("true", "false")
    assert flags.values.tolist() == [0, 1, 0, 255]
    many = parse_column("many", [f"{i}x" for i in range(30)], "x")
    assert len(many.categories) == 20
    assert (many.values == 254).sum() == 10
    with pytest.raises(InputError, match="x: holds lists"):
        parse_column("list", [[1]], "x")


def test_a_folder_is_read_with_its_columns(tmp_path: Path) -> None:
    write_part(tmp_path / "a.parquet", VECTORS[:300])
    write_part(tmp_path / "b.parquet", VECTORS[300:])
    found = bothways.map(str(tmp_path), color=["num_tokens", "truncated"])
    assert (found.coordinates == bothways.map(VECTORS).coordinates).all()
    assert found.ids[:2] == ["a/0", "a/1"]
    assert found.ids[-1] == "b/299"
    assert found.model == "minilm"
    assert [column.kind for column in found.columns] == ["number", "category"]


def test_files_of_other_programs_are_read(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", VECTORS[:20])
    assert len(bothways.map(tmp_path / "x.npy")) == 20
    lines = [json.dumps({"text": f"t{i}", "vector": VECTORS[i].tolist()}) for i in range(5)]
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    found = bothways.map(tmp_path / "x.jsonl")
    assert found.texts == ["t0", "t1", "t2", "t3", "t4"]
    assert found.neighbors.shape == (5, 4)


def test_more_rows_are_sampled_by_seed(tmp_path: Path) -> None:
    write_part(tmp_path / "x.parquet", VECTORS)
    first = bothways.map(tmp_path / "x.parquet", points=50)
    assert (len(first), first.total) == (50, 600)
    assert first.ids == [f"x/{row}" for row in first.rows.tolist()]
    assert (np.diff(first.rows) > 0).all()
    assert (bothways.map(tmp_path / "x.parquet", points=50).rows == first.rows).all()
    other = bothways.map(tmp_path / "x.parquet", points=50, seed=1)
    assert other.rows.tolist() != first.rows.tolist()
    array = bothways.map(VECTORS, points=50, texts=[str(i) for i in range(600)])
    assert array.texts == [str(row) for row in array.rows.tolist()]
    assert map_page(array).data["map"]["total"] == 600


def test_errors_name_the_argument_file_and_row(tmp_path: Path) -> None:
    write_part(tmp_path / "x.parquet", VECTORS[:5])
    with pytest.raises(DataFileError, match=r"x.parquet: no column 'stars'; it has 'id', 'text'"):
        bothways.map(tmp_path / "x.parquet", color="stars")
    with pytest.raises(InputError, match="texts, ids and values of color are for arrays"):
        bothways.map(tmp_path / "x.parquet", texts=["a"] * 5)
    broken = VECTORS[:5].copy()
    broken[3, 0] = np.nan
    write_part(tmp_path / "y.parquet", broken)
    with pytest.raises(DataFileError, match=r"y.parquet, row 4.*: holds NaN or infinity"):
        bothways.map(tmp_path / "y.parquet")
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (broken, {}, r"vectors\[3\]: holds NaN"),
        (VECTORS[:2], {}, "at least 3 vectors, and there are 2"),
        (VECTORS[0], {}, "two axes"),
        (["a"], {}, "array of numbers"),
        (VECTORS, {"texts": ["a"]}, "texts: has 1 items for 600"),
        (VECTORS, {"color": {"y": [1]}}, "y: has 1 items"),
        (VECTORS, {"color": "y"}, "expected values by name"),
        (VECTORS, {"projection": "tsne"}, "expected pca or umap"),
        (VECTORS, {"points": 2}, "points: 2"),
        (VECTORS, {"clusters": 0}, "clusters: 0"),
    ]
    for vectors, arguments, message in cases:
        with pytest.raises(InputError, match=message):
            bothways.map(vectors, **arguments)


def test_the_columns_of_points_are_written_as_parquet(view: VectorMap, tmp_path: Path) -> None:
    colored = bothways.map(
        VECTORS[:30],
        color={
            "stars": [None, *range(29)],
            "day": [datetime.date(2026, 1, 2)] * 29 + [None],
            "id": ["x", *["y"] * 28, None],
        },
    )
    path = colored.save_columns(tmp_path / "x.parquet")
    table = pq.read_table(path)
    assert table.column_names == [
        *("row", "id", "text", "projection_x", "projection_y", "neighbors", "cluster", "kept"),
        *("stars", "day", "id_1"),
    ]
    first = table.slice(0, 1).to_pylist()[0]
    assert first["neighbors"]["ids"] == colored.neighbors[0].tolist()
    assert first["neighbors"]["distances"] == pytest.approx(1 - colored.cosines[0])
    assert (first["projection_x"], first["stars"]) == (colored.coordinates[0, 0], None)
    assert first["day"] == datetime.datetime(2026, 1, 2)
    assert table["id_1"].to_pylist()[-2:] == ["y", None]
    with pytest.raises(InputError, match=r"choose a name with \.parquet"):
        view.save_columns(tmp_path / "x.csv")


def test_umap_is_used_with_exact_neighbors(
    view: VectorMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtra, match="umap needs an extra"):
        bothways.map(VECTORS, projection="umap")
    monkeypatch.undo()
    pytest.importorskip("umap", reason="umap-learn is not installed; make test-extras installs it")
    first = bothways.map(VECTORS, projection="umap")
    assert (first.coordinates == bothways.map(VECTORS, projection="umap").coordinates).all()
    assert first.kept.mean() > 1.3 * view.kept.mean()
    assert first.shares is None


def test_texts_are_cut_so_that_all_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert longest_text(["a" * 500, None, ""]) == 300
    monkeypatch.setattr("bothways.views.map.page.ALL_CHARACTERS", 50)
    assert longest_text(["a" * 100] * 5) == 10
    assert longest_text(["a"] * 3 + ["b" * 100]) == 47
    assert longest_text(["a"] * 100) == 1


def test_notebooks_show_the_page_in_a_frame(view: VectorMap) -> None:
    assert view._repr_html_().startswith('<iframe sandbox="allow-scripts')
    assert repr(view).startswith("VectorMap(coordinates=float32 (600, 2)")
    assert len(view) == 600


def test_a_star_import_keeps_map_of_python() -> None:
    code = "import builtins; from bothways import *; assert map is builtins.map"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)

"""`bothways map`: the page that it writes, and what it refuses."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.support.vector_parts import clustered, write_part

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def vectors() -> Path:
    path = Path("x.parquet")
    write_part(path, clustered(40, seed=1))
    return path


def data_of(path: str) -> Any:
    """The data that the scripts of a page read."""
    html = Path(path).read_text(encoding="utf-8")
    (data,) = re.findall('<script type="application/json" id="data-map">(.*?)</script>', html)
    return json.loads(data)


def test_a_page_of_a_file(run: Run, vectors: Path) -> None:
    code, out, err = run("map", vectors, "-o", "x.html", "--color", "num_tokens")
    assert (code, out) == (0, "")
    assert re.fullmatch(
        r"wrote x.html; open it in a browser; the map keeps \d+\.\d% of nearest neighbors\n", err
    )
    data = data_of("x.html")
    assert (data["points"], data["total"], data["model"]) == (40, 40, "minilm")
    assert [column["name"] for column in data["columns"]] == ["num_tokens"]
    assert "<title>x.parquet</title>" in Path("x.html").read_text()


def test_a_sample_clusters_a_title_and_columns(run: Run, vectors: Path) -> None:
    code, _, err = run("map", vectors, "-o", "x.html", "--points", 10, "--clusters", 2,
                       "--title", "T", "--columns", "c.parquet")  # fmt: skip
    assert code == 0
    assert err.startswith("10 of 40 rows, drawn at random\n")
    assert [data_of("x.html")[key] for key in ("points", "total")] == [10, 40]
    assert len(data_of("x.html")["clusters"]) == 2
    assert pq.read_metadata("c.parquet").num_rows == 10
    assert "<title>T</title>" in Path("x.html").read_text()


def test_an_invalid_command_is_refused_before_any_work(run: Run, vectors: Path) -> None:
    for arguments, message in (
        (("-o", "x.png"), "x.png: the page is HTML"),
        (("-o", "x.html", "--columns", "c.csv"), "c.csv: columns are written as Parquet"),
        (("-o", "x.html", "--points", 200_000), "points: 200000; expected 3 to 100,000"),
        (("-o", "x.html", "--color", "stars"), "x.parquet: no column 'stars'"),
    ):
        code, _, err = run("map", vectors, *arguments)
        assert code == 1
        assert message in err
    assert not Path("x.html").exists()
    Path("x.html").touch()
    assert "--overwrite" in run("map", vectors, "-o", "x.html")[2]
    assert run("map", vectors, "-o", "x.html", "--overwrite", "-q") == (0, "", "")

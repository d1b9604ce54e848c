"""`bothways index`, and `bothways search` in a folder that it indexed."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import bothways
from bothways import Alphabet, EncoderConfig
from bothways.cli.index import IndexOptions
from bothways.search.build import OVERSAMPLING
from bothways.sequences import SymbolReader

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def few_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the recall with fewer queries, which is faster."""
    monkeypatch.setattr("bothways.search.build._QUERIES", 50)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    alphabet = Alphabet(symbols=tuple("abcd"))
    config = EncoderConfig(num_layers=1, num_heads=2, d_model=32, d_ff=8, vocab_size=len(alphabet))
    folder = tmp_path_factory.mktemp("models") / "letters"
    return bothways.create(folder, config, SymbolReader(alphabet))


@pytest.fixture
def folder(run: Run, model: Path) -> str:
    """2,000 words, encoded into a folder."""
    Path("vectors").mkdir()
    digits = "abcd"
    words = [
        "".join(digits[number // 4**place % 4] for place in range(6)) for number in range(2000)
    ]
    Path("words.txt").write_text("\n".join(words) + "\n")
    code, _, err = run("encode", "words.txt", "-o", "vectors/part.parquet", "--model", model)
    assert code == 0, err
    return "vectors"


def test_an_indexed_folder_is_searched_by_its_index(run: Run, folder: str) -> None:
    search = ("search", "abcdab", "--in", folder, "-k", 3, "--json")
    code, exact, err = run(*search)
    assert (code, err) == (0, "")
    code, out, err = run("index", folder)
    assert code == 0
    assert out.startswith("recall@10 ")
    assert "1 of 1 files indexed now, 2,000 rows" in err
    code, out, err = run(*search)
    hits = [json.loads(line) for line in out.splitlines()]
    recall = hits[0]["recall"]
    assert code == 0
    assert f"recall@10 was {recall:.3f} for 50 of its rows; --exact compares all rows" in err
    assert [hit.pop("recall") for hit in hits] == [recall] * 3
    assert hits[0] == json.loads(exact.splitlines()[0])
    assert run(*search, "--exact") == (0, exact, "")
    assert run(*search, "--quiet")[2] == ""
    like = run("search", "--like", hits[0]["id"], "--in", folder, "--json", "-k", 1)
    assert json.loads(like[1])["recall"] == recall


def test_the_number_of_candidates_is_that_of_the_library() -> None:
    assert IndexOptions().candidates == OVERSAMPLING


def test_a_graph_needs_an_extra(run: Run, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usearch", None)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    code, _, err = run("index", folder, "--graph")
    assert code == 1
    assert "error: a graph index needs an extra: pip install" in err
    assert not Path(folder, "_index").exists()


def test_a_graph_is_used_where_its_extra_is_installed(
    run: Run, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("usearch", reason="usearch is not installed; make test-extras installs it")
    exact = run("search", "abcdab", "--in", folder, "-k", 3)[1]
    code, out, err = run("index", folder, "--graph")
    assert code == 0
    assert out.splitlines()[1].endswith("(50 rows as queries), with the graph")
    assert ", graph " in err
    recall = json.loads(run("index", folder, "--graph", "--json")[1])["graph_recall"]["value"]
    code, out, err = run("search", "abcdab", "--in", folder, "-k", 3)
    assert (code, out) == (0, exact)
    assert f"recall@10 was {recall:.3f}" in err
    where = ("--where", f"id={exact.split(chr(9))[1]}", "--json")
    signs = json.loads(run("index", folder, "--graph", "--json")[1])["recall"]["value"]
    (hit,) = run("search", "abcdab", "--in", folder, *where)[1].splitlines()
    assert json.loads(hit)["recall"] == signs
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    code, out, err = run("search", "abcdab", "--in", folder, "-k", 3)
    assert (code, out.splitlines()[0]) == (0, exact.splitlines()[0])
    assert "searching without the graph of vectors: it needs an extra: pip install" in err


def test_the_report_is_json(run: Run, folder: str) -> None:
    code, out, err = run("index", folder, "--candidates", 2, "--json")
    report = json.loads(out)
    assert (code, err) == (0, "")
    assert (report["rows"], report["parts"], report["indexed"]) == (2000, 1, 1)
    assert report["recall"]["k"] == 10
    assert json.loads(run("index", folder, "--candidates", 2, "--json")[1])["indexed"] == 0


def test_parts_that_the_index_lacks_are_noted(run: Run, folder: str) -> None:
    run("index", folder)
    Path(folder, "more.parquet").write_bytes(Path(folder, "part.parquet").read_bytes())
    code, out, err = run("search", "abcdab", "--in", folder, "-k", 2)
    assert code == 0
    assert len({line.split("\t")[0] for line in out.splitlines()}) == 1
    assert "more.parquet is not in the index" in err
    assert "bothways index vectors" in err


def test_what_is_no_folder_of_vectors_is_an_error(run: Run, folder: str) -> None:
    code, _, err = run("index", "vectors/part.parquet")
    assert (code, err.startswith("error: vectors/part.parquet: not a folder")) == (1, True)
    Path("empty").mkdir()
    code, _, err = run("index", "empty")
    assert (code, "no .parquet files" in err) == (1, True)

"""`bothways attend`: the page that it writes, and what it refuses."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bothways
from bothways import Alphabet, EncoderConfig, Series
from bothways.sequences import SeriesReader, SymbolReader

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    alphabet = Alphabet(symbols=tuple("abc<>"))
    config = EncoderConfig(
        num_layers=3, num_heads=2, d_model=8, d_ff=8, vocab_size=len(alphabet), max_length=20
    )
    folder = tmp_path_factory.mktemp("models") / "letters"
    return bothways.create(folder, config, SymbolReader(alphabet))


def data_of(path: str) -> Any:
    """The data that the scripts of a page read."""
    html = Path(path).read_text(encoding="utf-8")
    (data,) = re.findall('<script type="application/json" id="data-view">(.*?)</script>', html)
    return json.loads(data)


def test_a_page_of_one_sequence(run: Run, model: Path) -> None:
    code, out, err = run("attend", "abca", "-o", "x.html", "--model", model)
    assert (code, out, err) == (0, "", "wrote x.html; open it in a browser\n")
    (sequence,) = data_of("x.html")["sequences"]
    assert [text for text, _, kind in sequence["pieces"] if kind == "token"] == list("abca")
    assert sequence["layers"] == [0, 1, 2]
    assert data_of("x.html")["model"].startswith(f"{model}: 3 layers, ")


def test_a_page_of_a_pair_and_of_chosen_layers(run: Run, model: Path) -> None:
    code, _, err = run("attend", "ab", "--to", "cc", "-o", "x.html", "--model", model,
                       "--layers", "1,3", "--no-occlude", "-q")  # fmt: skip
    assert (code, err) == (0, "")
    first, other = data_of("x.html")["sequences"]
    assert first["layers"] == [0, 2]
    assert first["cosine"] == pytest.approx(other["cosine"])
    assert first["occlusions"] == []


def test_rows_of_a_file_have_the_names_of_their_ids(run: Run, model: Path) -> None:
    Path("x.csv").write_text("id,sequence\n" + "".join(f"r{i},ab\n" for i in range(9)))
    run("attend", "--in", "x.csv", "--rows", "2-3,7", "-o", "x.html", "--model", model)
    assert [s["name"] for s in data_of("x.html")["sequences"]] == ["r1", "r2", "r6"]
    Path("x.txt").write_text("ab\n" * 9)
    run("attend", "--in", "x.txt", "-o", "y.html", "--model", model)
    assert [s["name"] for s in data_of("y.html")["sequences"]] == [f"row {i}" for i in range(1, 6)]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("-o", "x.html"), 2, "give one of TEXT and --in"),
        (("ab", "--in", "x.txt", "-o", "x.html"), 2, "give one of TEXT and --in"),
        (("ab", "--rows", "1", "-o", "x.html"), 2, "--rows is about the rows of --in"),
        (("ab", "-o", "x.png"), 1, "x.png: the page is HTML"),
        (("ab", "-o", "taken.html"), 1, "taken.html: already exists"),
        (("ab", "-o", "x.html", "--layers", "4"), 1, "--layers 4: there are 3 layers"),
        (("ab", "-o", "x.html", "--layers", "0"), 1, "--layers 0: expected numbers from 1"),
        ((" ", "-o", "x.html"), 1, "TEXT is empty"),
        (("abz", "-o", "x.html"), 1, "TEXT: "),
        (("ab", "--to", "z", "-o", "x.html"), 1, "--to: "),
        (("--in", "x.txt", "--rows", "3", "-o", "x.html"), 1, "--rows 3: the input has 2 rows"),
        (("--in", "x.txt", "--rows", "2", "-o", "x.html"), 1, "x.txt, row 2"),
    ],
)
def test_what_is_refused_says_where(
    run: Run, model: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    Path("taken.html").write_text("mine")
    Path("x.txt").write_text("ab\nzz\n")
    exit_code, _, err = run("attend", *arguments, "--model", model)
    assert exit_code == code
    assert message in err
    assert not Path("x.html").exists()
    assert Path("taken.html").read_text() == "mine"


def test_series_come_from_files(run: Run, tmp_path: Path) -> None:
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=8, input="vectors", num_channels=1
    )
    folder = bothways.create(tmp_path / "m", config, SeriesReader(Series.as_is(1)))
    _, _, err = run("attend", "ab", "-o", "x.html", "--model", folder)
    assert "this model reads series; give a file of them with --in" in err
    Path("x.jsonl").write_text('{"series": [[0.5], [1], [2]]}\n')
    code, _, err = run("attend", "--in", "x.jsonl", "-o", "x.html", "--model", folder)
    assert code == 0, err
    assert data_of("x.html")["sequences"][0]["values"] == [[0.5, 1, 2]]

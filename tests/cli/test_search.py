"""`bothways search`: what it refuses and what it prints."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bothways
from bothways import Alphabet, EncoderConfig, Series
from bothways.installation import install_command
from bothways.sequences import SeriesReader, SymbolReader

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    alphabet = Alphabet(symbols=tuple("abc \t\x1b\u2028\u202e"))
    config = EncoderConfig(num_layers=1, num_heads=2, d_model=8, d_ff=8, vocab_size=len(alphabet))
    folder = tmp_path_factory.mktemp("models") / "letters"
    return bothways.create(folder, config, SymbolReader(alphabet))


@pytest.fixture
def encoded(run: Run, model: Path) -> Callable[..., None]:
    def encode(texts: list[str], *options: object) -> None:
        Path("x.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
        code, _, err = run("encode", "x.jsonl", "-o", "x.parquet", "--model", model, *options)
        assert code == 0, err

    return encode


def test_a_text_is_printed_on_one_line_without_control_characters(
    run: Run, encoded: Callable[..., None]
) -> None:
    encoded(["a\tb\x1bc\u2028a\u202e"])
    _, out, _ = run("search", "a", "--in", "x.parquet")
    score, row_id, text = out.rstrip("\n").split("\t")
    assert (row_id, text) == ("0", "a\\tb\\x1bc\\u2028a\\u202e")
    assert -1 <= float(score) <= 1


def test_json_holds_the_unchanged_text(run: Run, encoded: Callable[..., None]) -> None:
    encoded(["a\tb\x1bc", "cc"])
    _, out, _ = run("search", "a\tb\x1bc", "--in", "x.parquet", "-k", "1", "--json")
    (hit,) = [json.loads(line) for line in out.splitlines()]
    assert (hit["rank"], hit["row"], hit["id"], hit["text"]) == (1, 0, "0", "a\tb\x1bc")
    assert hit["score"] == pytest.approx(1)


@pytest.mark.parametrize(
    "options",
    [("--pooling", "cls"), ("--dimensions", "3"), ("--normalize",), ("--pooling", "weighted_mean")],
)
def test_a_query_is_encoded_as_the_file_was(
    run: Run, encoded: Callable[..., None], options: tuple[str, ...]
) -> None:
    encoded(["abc", "cba", "bb"], *options)
    _, out, err = run("search", "cba", "--in", "x.parquet", "-k", "1")
    assert err == ""
    assert out.split("\t")[0::2] == ["1.0000", "cba\n"]


@pytest.mark.parametrize(
    ("output", "text"), [("out.jsonl", "cba"), ("x.npy", ""), ("x.parquet", "cba")]
)
def test_every_output_of_encode_can_be_searched(
    run: Run, model: Path, output: str, text: str
) -> None:
    Path("x.txt").write_text("abc\ncba\nbb\n")
    assert run("encode", "x.txt", "-o", output, "--model", model)[0] == 0
    assert run("search", "cba", "--in", output, "-k", "1") == (0, f"1.0000\t1\t{text}\n", "")


def test_a_core_install_encodes_and_searches(model: Path, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("abc\ncba\nbb\n")
    code = """
import sys
for name in ("pyarrow", "torch", "transformers", "sklearn"):
    sys.modules[name] = None  # importing it fails
from bothways.cli import main
sys.argv = ["bothways", *sys.argv[1:]]
main()
"""

    def bothways(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    encode = ("encode", "x.txt", "--model", model, "--backend", "reference", "--quiet")
    search = ("search", "cba", "--backend", "reference", "-k", "1")
    assert bothways(*encode, "-o", "x.jsonl").stderr == ""
    assert bothways(*search, "--in", "x.jsonl").stdout == "1.0000\t1\tcba\n"
    refused = bothways(*encode, "-o", "x.parquet")
    assert refused.returncode == 1
    assert refused.stderr == f"error: x.parquet needs an extra: {install_command('parquet')}\n"


def test_fewer_rows_than_k_are_all_printed(run: Run, encoded: Callable[..., None]) -> None:
    encoded(["a", "b"])
    _, out, _ = run("search", "a", "--in", "x.parquet", "-k", "100")
    assert len(out.splitlines()) == 2


def test_a_file_without_rows_prints_nothing(run: Run, model: Path) -> None:
    Path("x.txt").write_text("")
    run("encode", "x.txt", "-o", "x.parquet", "--model", model)
    assert run("search", "a", "--in", "x.parquet") == (0, "", "")


def test_a_model_that_only_the_file_names_is_not_fetched(
    run: Run, encoded: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded(["a"])
    table = pq.read_table("x.parquet")
    metadata = {**table.schema.metadata, b"bothways.model": b"pypi:stranger==1.0/model"}
    pq.write_table(table.replace_schema_metadata(metadata), "hostile.parquet")

    def connect(*_: object) -> None:
        pytest.fail("a file of vectors made its reader connect")

    monkeypatch.setattr("socket.socket.connect", connect)
    monkeypatch.setattr("subprocess.Popen", connect)
    code, _, err = run("search", "a", "--in", "hostile.parquet")
    assert code == 1
    assert "'pypi:stranger==1.0/model'" in err
    assert "--model" in err


def test_a_file_in_another_folder_is_searched_with_the_same_model(
    run: Run, encoded: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded(["a"])
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert run("search", "a", "--in", "../x.parquet")[0] == 0


def test_a_model_of_series_has_no_queries(run: Run, tmp_path: Path) -> None:
    config = EncoderConfig(
        num_layers=1, num_heads=1, d_model=8, d_ff=8, input="vectors", num_channels=1
    )
    model = bothways.create(tmp_path / "series", config, SeriesReader(Series.as_is(1)))
    Path("x.jsonl").write_text('{"x": [1, 2]}\n')
    assert run("encode", "x.jsonl", "-o", "x.parquet", "--model", model)[0] == 0
    code, _, err = run("search", "1 2", "--in", "x.parquet")
    assert code == 1
    assert "this model reads series" in err


def test_a_missing_file_is_an_error(run: Run) -> None:
    assert run("search", "a", "--in", "none.parquet") == (
        1,
        "",
        "error: none.parquet: no such file\n",
    )


@pytest.fixture
def asymmetric_model(minilm_folder: Path, tmp_path: Path) -> Path:
    """A model with a prompt for queries, and a default prompt for documents."""
    folder = tmp_path / "asymmetric"
    folder.mkdir()
    for path in minilm_folder.iterdir():
        (folder / path.name).symlink_to(path)
    config = folder / "config_sentence_transformers.json"
    config.unlink(missing_ok=True)
    prompts = {"query": "colors: ", "document": "animals: "}
    config.write_text(json.dumps({"prompts": prompts, "default_prompt_name": "document"}))
    return folder


def test_a_query_gets_the_prompt_for_queries_and_the_file_says_which_made_its_rows(
    run: Run, asymmetric_model: Path
) -> None:
    Path("x.txt").write_text("red\nhorse\n")
    model = ("--model", asymmetric_model)
    assert run("encode", "x.txt", "-o", "x.npy", *model)[0] == 0
    origin = json.loads(Path("x.npy.json").read_text())
    assert (origin["prompt"], origin["prompt_name"]) == ("animals: ", "document")

    encoder = bothways.load(asymmetric_model)
    rows = encoder.encode(["red", "horse"], role="document", normalize=True)

    def score(*options: str) -> float:
        _, out, err = run("search", "red", "--in", "x.npy", "-k", "1", "--json", *options)
        assert not err
        return float(json.loads(out)["score"])

    def expected(**options: Any) -> float:
        return float(max(rows @ encoder.encode("red", normalize=True, **options)))

    assert score() == pytest.approx(expected(role="query"), abs=1e-5)
    assert score("--prompt", "") == pytest.approx(expected(prompt=""), abs=1e-5)
    assert score("--prompt-name", "document") == pytest.approx(1, abs=1e-5)
    assert score() != pytest.approx(expected(), abs=1e-3)


def test_an_unknown_prompt_name_is_an_error_before_anything_is_written(
    run: Run, asymmetric_model: Path
) -> None:
    Path("x.txt").write_text("red\n")
    code, _, err = run(
        "encode", "x.txt", "-o", "x.npy", "--model", asymmetric_model, "--prompt-name", "qeury"
    )
    assert code != 0
    assert "prompt_name='qeury': expected one of 'query', 'document'" in err
    assert not Path("x.npy").exists()


@pytest.fixture
def tagged(run: Run, encoded: Callable[..., None]) -> None:
    """`x.parquet`, with a column `kind` beside what `encode` writes."""
    encoded(["abc", "cba", "bb", "abc"])
    table = pq.read_table("x.parquet")
    pq.write_table(table.append_column("kind", pa.array(["p", "q", "q", "q"])), "x.parquet")


@pytest.mark.usefixtures("tagged")
def test_only_rows_with_the_values_are_searched(run: Run) -> None:
    search = ("search", "abc", "--in", "x.parquet", "-k", 1)
    assert run(*search) == (0, "1.0000\t0\tabc\n", "")
    assert run(*search, "--where", "kind=q") == (0, "1.0000\t3\tabc\n", "")
    assert run(*search, "--where", "kind=z") == (0, "", "no row has the values of --where\n")
    assert run(*search, "--where", "kind=z", "--quiet") == (0, "", "")
    code, _, err = run(*search, "--where", "sort=q")
    assert (code, "no column 'sort'; it has 'id', 'text'" in err) == (1, True)
    assert run(*search, "--where", "kind")[0] == 1


@pytest.mark.usefixtures("tagged")
def test_rows_like_a_row_need_no_model(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bothways.load", lambda *_, **__: pytest.fail("the model was loaded"))
    assert run("search", "--like", "0", "--in", "x.parquet", "-k", 1) == (0, "1.0000\t3\tabc\n", "")
    code, _, err = run("search", "--like", "0", "--in", "x.parquet", "--prompt", "x")
    assert (code, err) == (
        1,
        "error: --like compares the vectors of the file, and takes no --prompt\n",
    )


@pytest.mark.parametrize("block", [1, 2, 1000])
def test_many_queries_are_answered_in_order(
    run: Run, encoded: Callable[..., None], monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr("bothways.cli.search._BLOCK", block)
    encoded(["abc", "cba", "bb"])
    Path("q.csv").write_text("name,question\nfirst,bb\nsecond,abc\nthird,cba\n")
    options = ("--in", "x.parquet", "--id-column", "name", "--column", "question", "-k", 1)
    assert run("search", "--queries", "q.csv", *options) == (
        0,
        "first\t1.0000\t2\tbb\nsecond\t1.0000\t0\tabc\nthird\t1.0000\t1\tcba\n",
        "",
    )
    _, out, _ = run("search", "--queries", "q.csv", *options, "--json")
    hit, *_ = [json.loads(line) for line in out.splitlines()]
    assert (hit["query_id"], hit["query"], hit["row"]) == ("first", "bb", 2)


def feed(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), "ascii"))


def test_queries_are_read_from_standard_input(
    run: Run, encoded: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded(["abc", "a\u2028"])
    options = ("--in", "x.parquet", "-k", 1, "--json")
    feed(monkeypatch, "a\u2028\n".encode())
    assert json.loads(run("search", "-", *options)[1])["row"] == 1
    feed(monkeypatch, b"abc\nabc\n")
    _, out, _ = run("search", "--queries", "-", *options)
    assert [json.loads(line)["query_id"] for line in out.splitlines()] == ["0", "1"]
    feed(monkeypatch, b"\xff")
    assert "standard input, line 1: byte 0xff" in run("search", "-", *options)[2]


def test_an_empty_query_is_an_error_that_names_it(
    run: Run, encoded: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded(["abc"])
    for query in ("", "  "):
        code, out, err = run("search", query, "--in", "x.parquet")
        assert (code, out) == (1, "")
        assert err.startswith("error: QUERY: the query is empty")
    feed(monkeypatch, b"\n")
    assert "standard input: the query is empty" in run("search", "-", "--in", "x.parquet")[2]
    Path("q.txt").write_text("abc\n\nabc\n")
    assert "q.txt, row 2: " in run("search", "--queries", "q.txt", "--in", "x.parquet")[2]


def test_a_query_that_the_model_cannot_read_is_named(
    run: Run, encoded: Callable[..., None]
) -> None:
    encoded(["abc"])
    assert "error: QUERY: " in run("search", "abz", "--in", "x.parquet")[2]
    Path("q.txt").write_text("abc\nabz\n")
    assert "q.txt, row 2: " in run("search", "--queries", "q.txt", "--in", "x.parquet")[2]


@pytest.mark.parametrize(
    "arguments", [(), ("a", "--like", "0"), ("a", "--queries", "x.jsonl"), ("--like",)]
)
def test_one_kind_of_query_must_be_given(
    run: Run, encoded: Callable[..., None], arguments: tuple[str, ...]
) -> None:
    encoded(["abc"])
    assert run("search", "--in", "x.parquet", *arguments)[0] == 2


@pytest.mark.filterwarnings("default::bothways.errors.PrecisionWarning")
def test_a_query_of_another_precision_is_said(run: Run, encoded: Callable[..., None]) -> None:
    encoded(["abc", "cba"], "--precision", "int8")
    code, out, err = run("search", "abc", "--in", "x.parquet", "-k", 1)
    assert (code, out.split("\t")[1]) == (0, "0")
    assert err.startswith("warning: x.parquet: its vectors were encoded in int8, the query in fp32")
    assert err.count("warning") == 1
    assert run("search", "abc", "--in", "x.parquet", "-k", 1, "--precision", "int8")[2] == ""


@pytest.fixture
def rewritten(encoded: Callable[..., None]) -> Callable[..., None]:
    """Encode texts into `x.parquet`, and let another program rewrite it."""

    def encode(*options: object) -> None:
        encoded(["abc", "cba", "bb"], *options)
        rows = pq.read_table("x.parquet", columns=["id", "text", "vector"]).to_pylist()
        pq.write_table(pa.Table.from_pylist(rows), "x.parquet")

    return encode


def test_vectors_of_unknown_origin_are_searched_with_a_model_on_trust(
    run: Run, rewritten: Callable[..., None], model: Path
) -> None:
    rewritten()
    search = ("search", "cba", "--in", "x.parquet", "-k", 1)
    code, _, err = run(*search, "--model", model)
    assert code == 1
    assert "--model MODEL --trust" in err
    code, _, err = run(*search, "--trust")
    assert (code, "name it with --model" in err) == (1, True)
    code, out, err = run(*search, "--model", model, "--trust")
    assert (code, out) == (0, "1.0000\t1\tcba\n")
    assert err.startswith("warning: x.parquet: does not say what made its vectors")
    assert run("search", "--like", "1", "--in", "x.parquet", "--trust")[0] == 0


def test_settings_of_vectors_of_unknown_origin_are_options(
    run: Run, rewritten: Callable[..., None], model: Path
) -> None:
    rewritten("--dimensions", "5", "--pooling", "max")
    search = ("search", "cba", "--in", "x.parquet", "-k", 1, "--model", model, "--trust")
    code, _, err = run(*search)
    assert code == 1
    assert "its vectors have 5 dimensions, those of" in err
    assert "--dimensions" in err
    assert run(*search, "--dimensions", "5", "--pooling", "max")[1] == "1.0000\t1\tcba\n"


def test_settings_that_contradict_the_file_are_an_error(
    run: Run, encoded: Callable[..., None]
) -> None:
    encoded(["abc"])
    code, _, err = run("search", "abc", "--in", "x.parquet", "--pooling", "cls")
    assert (code, "its vectors have pooling mean" in err) == (1, True)


def test_a_query_is_utf_8_in_every_locale(run: Run, encoded: Callable[..., None]) -> None:
    encoded(["abc", "a\u2028"])
    bytes_of_query = "a\u2028".encode().decode("ascii", "surrogateescape")
    _, out, _ = run("search", bytes_of_query, "--in", "x.parquet", "-k", 1)
    assert out == "1.0000\t1\ta\\u2028\n"

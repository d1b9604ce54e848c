"""The commands from end to end: files in, files out, messages and exit codes."""

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import bothways
from bothways import Alphabet, EncoderConfig
from bothways.cli.app import app
from bothways.sequences import SymbolReader

SAME = 1e-6  # fp32 through another order of additions
BOTHWAYS = [sys.executable, "-m", "bothways"]
HEAVY = ("torch", "pyarrow", "tokenizers", "huggingface_hub", "jaxtyping")
LINES = ["a river bank", "b", "a bank loan", "the shore of a stream " * 9]

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny model of lowercase letters."""
    letters = tuple(" abcdefghijklmnopqrstuvwxyz")
    symbols = (*letters, "<begin>", "<end>", "<unknown>")
    alphabet = Alphabet(symbols=symbols, begin="<begin>", end="<end>", unknown="<unknown>")
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=16, vocab_size=len(alphabet), max_length=64
    )
    folder = tmp_path_factory.mktemp("models") / "letters"
    return str(bothways.create(folder, config, SymbolReader(alphabet), normalize=True))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    Path("lines.txt").write_text("\n".join(LINES) + "\n")
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def test_every_output_holds_the_vectors_of_encode(run: Run, model: str) -> None:
    expected = bothways.load(model).encode_detailed(LINES)
    for name in ("out.parquet", "out.npy", "out.jsonl"):
        done = run("encode", "lines.txt", "-o", name, "--model", model)
        assert done.exit_code == 0, done.stderr
        assert "warning: truncated 1 of 4 rows" in done.stderr
    table = pq.read_table("out.parquet")
    assert table["text"].to_pylist() == LINES
    assert table["truncated"].to_pylist() == [False, False, False, True]
    assert table["num_tokens"].to_pylist() == expected.num_tokens.tolist()
    vectors = {
        "parquet": np.array(table["vector"].to_pylist()),
        "npy": np.load("out.npy"),
        "jsonl": np.array(
            [json.loads(line)["vector"] for line in Path("out.jsonl").read_text().splitlines()]
        ),
    }
    for found in vectors.values():
        np.testing.assert_allclose(found, expected.vectors, atol=SAME)


def test_a_file_of_vectors_says_where_they_come_from(run: Run, model: str) -> None:
    run("encode", "lines.txt", "-o", "out.parquet", "--model", model, "--pooling", "max")
    metadata = {
        key.decode(): value.decode()
        for key, value in pq.read_schema("out.parquet").metadata.items()
        if key.startswith(b"bothways.")
    }
    assert metadata["bothways.fingerprint"] == bothways.load(model).fingerprint
    assert metadata["bothways.pooling"] == "max"
    assert metadata["bothways.normalization"] == "l2"
    assert metadata["bothways.precision"] == "fp32"
    assert metadata["bothways.version"] == bothways.__version__


def test_standard_input_to_standard_output(model: str) -> None:
    done = subprocess.run(
        [*BOTHWAYS, "encode", "-", "-o", "-", "--model", model, "--quiet"],
        input="a\nb\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["0", "1"]
    assert done.stderr == ""


def test_search_finds_the_nearest_rows(run: Run, model: str) -> None:
    run("encode", "lines.txt", "-o", "out.parquet", "--model", model)
    done = run("search", "a bank loan", "--in", "out.parquet", "-k", 2)
    assert done.exit_code == 0, done.stderr
    first, second = (line.split("\t") for line in done.stdout.splitlines())
    assert (first[0], first[2]) == ("1.0000", "a bank loan")
    assert float(second[0]) < 1


def test_search_refuses_vectors_of_another_model(run: Run, model: str, tmp_path: Path) -> None:
    run("encode", "lines.txt", "-o", "out.parquet", "--model", model)
    alphabet = Alphabet.protein()
    config = EncoderConfig(num_layers=1, num_heads=1, d_model=8, d_ff=8, vocab_size=len(alphabet))
    other = bothways.create(tmp_path / "other", config, SymbolReader(alphabet))
    done = run("search", "mk", "--in", "out.parquet", "--model", other)
    assert done.exit_code == 1
    assert bothways.load(model).fingerprint[:8] in done.stderr
    assert bothways.load(other).fingerprint[:8] in done.stderr


def test_inspect_prints_text_and_json(run: Run, model: str) -> None:
    assert "parameters" in run("inspect", model).stdout
    facts = json.loads(run("inspect", model, "--json").stdout)
    assert "num_layers" in json.dumps(facts)


def test_doctor_names_the_default_backend_and_the_reason(run: Run) -> None:
    done = run("doctor")
    assert done.exit_code == 0
    assert "because" in done.stdout
    json.loads(run("doctor", "--json").stdout)


def test_pull_prints_the_folder(run: Run, model: str) -> None:
    assert run("pull", model).stdout.strip() == model


def test_export_writes_a_folder_that_loads(run: Run, minilm_folder: Path) -> None:
    done = run("export", minilm_folder, "-o", "exported", "--to", "transformers")
    assert done.exit_code == 0, done.stderr
    exported = bothways.load("./exported").encode(["river"], normalize=True)
    np.testing.assert_allclose(exported, bothways.load(minilm_folder).encode(["river"]), atol=SAME)


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("x.csv", b"text,other\na\n", (), "x.csv, row 1 (line 2)"),
        ("x.csv", b"body,label\na,b\n", ("--column", "text"), "body"),
        ("x.jsonl", b'{"text": "a"}\n{"text": null}\n', (), "x.jsonl"),
        ("x.jsonl", b'{"text": 3}\n', (), "x.jsonl"),
        ("x.jsonl", b'{"text": "\\ud800"}\n', (), "x.jsonl"),
        ("x.txt", b"fine\n\xff\n", (), "offset 5"),
        ("x.txt.gz", b"\x1f\x8b\x08\x00", (), "x.txt.gz"),
        ("x.parquet", b"PAR1", (), "x.parquet"),
        ("x.docx", b"", (), "x.docx"),
    ],
)
def test_invalid_input_names_the_file_and_place_and_leaves_no_output(
    run: Run, model: str, name: str, content: bytes, options: tuple[str, ...], message: str
) -> None:
    Path(name).write_bytes(content)
    before = sorted(Path().iterdir())
    done = run("encode", name, "-o", "out.parquet", "--model", model, *options)
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert sorted(Path().iterdir()) == before


def test_an_invalid_row_is_named_by_file_and_row(run: Run, tmp_path: Path) -> None:
    alphabet = Alphabet.protein()
    config = EncoderConfig(num_layers=1, num_heads=1, d_model=8, d_ff=8, vocab_size=len(alphabet))
    proteins = bothways.create(
        tmp_path / "strict", config, SymbolReader(Alphabet(symbols=alphabet.symbols))
    )
    Path("x.csv").write_text("text\nMKV\nMK7\n")
    done = run("encode", "x.csv", "-o", "out.parquet", "--model", proteins)
    assert done.exit_code == 1
    assert "x.csv, row 2 (line 3), column 'text'" in done.stderr
    assert "'7'" in done.stderr
    assert not Path("out.parquet").exists()


def test_lines_end_where_text_files_end_them(run: Run, model: str) -> None:
    Path("x.txt").write_bytes("\ufeffone\u2028still one\r\ntwo\x0cstill two\x00\n".encode())
    assert run("encode", "x.txt", "-o", "out.parquet", "--model", model).exit_code == 0
    texts = pq.read_table("out.parquet")["text"].to_pylist()
    assert texts == ["one\u2028still one", "two\x0cstill two\x00"]


def test_an_existing_output_is_kept_without_overwrite(run: Run, model: str) -> None:
    Path("out.npy").write_bytes(b"precious")
    refused = run("encode", "lines.txt", "-o", "out.npy", "--model", model)
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    assert Path("out.npy").read_bytes() == b"precious"
    assert (
        run("encode", "lines.txt", "-o", "out.npy", "--model", model, "--overwrite").exit_code == 0
    )
    assert np.load("out.npy").shape == (4, 8)


@pytest.mark.parametrize("output", ["nowhere/out.npy", "out.docx", "/proc/out.npy"])
def test_an_invalid_output_is_reported_before_the_model_is_loaded(run: Run, output: str) -> None:
    done = run("encode", "lines.txt", "-o", output, "--model", "no such model")
    assert done.exit_code == 1
    assert Path(output).name in done.stderr
    assert "no such model" not in done.stderr


def test_no_rows_give_a_complete_empty_file(run: Run, model: str) -> None:
    Path("x.txt").write_bytes(b"")
    assert run("encode", "x.txt", "-o", "out.npy", "--model", model).exit_code == 0
    assert np.load("out.npy").shape == (0, 8)


def test_a_memory_limit_that_is_too_low_is_refused_with_the_lowest_possible_one(
    run: Run, model: str
) -> None:
    done = run("encode", "lines.txt", "-o", "o.npy", "--model", model, "--max-memory", "1MB")
    assert done.exit_code == 1
    assert "give at least" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("encode",),
        ("encode", "lines.txt"),
        ("encode", "lines.txt", "-o", "x.npy", "--max-memory", "lots"),
        ("encode", "lines.txt", "-o", "x.npy", "--pooling", "median"),
        ("serach",),
    ],
)
def test_an_invalid_command_exits_with_2(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from bothways.cli.app import app\n"
        "try: app(['encode', '--help'])\n"
        f"finally: print(sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nothing_behind(
    model: str, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    command = [*BOTHWAYS, "encode", "-", "-o", "out.npy", "--model", model]
    running = subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdin is not None
    running.stdin.write("a line\n" * 20_000)
    running.stdin.flush()  # and no end: it waits for more
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    running.send_signal(number)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == code
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(model: str, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("a line\n" * 20_000)

    def limit_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        [*BOTHWAYS, "encode", "lines.txt", "-o", "out.npy", "--model", model],
        cwd=tmp_path,
        preexec_fn=limit_files,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "out.npy" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["lines.txt"]


def test_a_closed_pipe_ends_the_run_quietly(model: str, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("a line\n" * 20_000)
    command = " ".join(BOTHWAYS) + f" encode lines.txt -o - --model {model} --quiet | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""

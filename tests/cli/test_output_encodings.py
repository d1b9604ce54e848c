"""Every command on a standard output and error whose encoding lacks characters of the output."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import bothways
from bothways import Alphabet, EncoderConfig
from bothways.cli import main
from bothways.cli.app import app
from bothways.cli.progress import pull_progress
from bothways.sequences import SymbolReader

TEXTS = ["é☃", "☃😀", "a\u202eb"]
COMMANDS = [
    "encode",
    "search",
    "train",
    "predict",
    "compare",
    "inspect",
    "pull",
    "export",
    "doctor",
]
TINY = "--size tiny --set d_model=16 --set num_layers=1 --steps 2"

Run = Callable[[str, str], tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, vectors and data, all with names and contents beyond ASCII."""
    folder = tmp_path_factory.mktemp("é☃")
    alphabet = Alphabet(symbols=tuple("é☃😀ab\u202e<>"), begin="<", end=">")
    config = EncoderConfig(num_layers=1, num_heads=2, d_model=8, d_ff=8, vocab_size=len(alphabet))
    bothways.create(folder / "modèle☃", config, SymbolReader(alphabet))
    (folder / "☃.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    rows = "".join(f"{word} chat,{label}\n" for word in "abcdefgh" for label in ("é☃", "q"))
    (folder / "☃.csv").write_text("texte,☃\n" + rows, encoding="utf-8")
    output = str(folder / "☃.jsonl")
    arguments = ["encode", str(folder / "☃.txt"), "-o", output, "--model", str(folder / "modèle☃")]
    with pytest.raises(SystemExit) as end:
        app(arguments)
    assert not end.value.code
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Run:
    """Run a command with an encoding: exit code, standard output and error."""
    monkeypatch.chdir(folder)

    def invoke(command: str, encoding: str) -> tuple[int, str, str]:
        buffers = io.BytesIO(), io.BytesIO()
        streams = [io.TextIOWrapper(buffer, encoding) for buffer in buffers]
        monkeypatch.setattr(sys, "stdout", streams[0])
        monkeypatch.setattr(sys, "stderr", streams[1])
        monkeypatch.setattr(sys, "argv", ["bothways", *command.split()])
        with pytest.raises(SystemExit) as end:
            main()
        for stream in streams:
            stream.flush()
        out, err = (buffer.getvalue() for buffer in buffers)
        return int(end.value.code or 0), out.decode(encoding), err.decode(encoding)

    return invoke


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize(
    ("command", "code", "out", "err"),
    [
        ("search é☃ --in ☃.jsonl -k 1", 0, "\\u2603", ""),
        ("search ☃😀 --in ☃.jsonl -k 1 --json", 0, "\\u2603\\ud83d\\ude00", ""),
        ("search é --in ☃☃.jsonl", 1, "", "\\u2603\\u2603.jsonl: no such file"),
        ("encode ☃.txt -o - --model modèle☃", 0, "\\u2603", "encoded 3 rows"),
        ("encode ☃.txt -o ☃.docx --model modèle☃", 1, "", "\\u2603.docx"),
        ("encode ☃.csv --column ☃☃ -o - --model modèle☃", 1, "", "\\u2603"),
        ("inspect modèle☃", 0, "le\\u2603", ""),
        ("inspect modèle☃ --json", 0, "le\\u2603", ""),
        ("pull ./modèle☃", 0, "le\\u2603", ""),
        ("pull ☃", 1, "", "\\u2603"),
        ("export modèle☃ --to bothways -o ☃.txt", 1, "", "\\u2603.txt"),
        ("predict modèle☃ ☃.txt -o -", 1, "", "le\\u2603"),
        ("compare ☃", 2, "", "\\u2603"),
        ("☃", 2, "", "\\u2603"),
        ("search --☃", 2, "", "\\u2603"),
    ],
)  # fmt: skip
def test_characters_that_cannot_be_written_are_escaped(
    run: Run,
    encoding: str,
    command: str,
    code: int,
    out: str,
    err: str,
) -> None:
    result = run(command, encoding)
    assert result[0] == code, result
    assert out in result[1]
    assert err in result[2]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_printed_in_ascii(run: Run, command: str) -> None:
    code, out, err = run(f"{command} --help", "ascii")
    assert (code, err) == (0, "")
    assert "Usage: bothways" in out
    assert out.isascii()


def test_doctor_prints_in_ascii(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"environment": {"BOTHWAYS_☃": "é☃"}, "cache": "/☃"}
    monkeypatch.setattr("bothways.cli.doctor.describe", lambda: facts)
    monkeypatch.setattr("bothways.cli.doctor._page", lambda facts: str(facts))
    assert "\\u2603" in run("doctor", "ascii")[1]
    assert json.loads(run("doctor --json", "ascii")[1]) == facts


def test_training_and_predictions_with_labels_beyond_ascii(
    run: Run,
) -> None:
    code, out, err = run(
        f"train classify ☃.csv --column texte --label ☃ --out rün☃ {TINY}", "ascii"
    )
    assert code == 0, err
    assert "report\tr\\xfcn\\u2603" in out
    report = Path("rün☃/report.md").read_bytes().decode("utf-8")
    assert "é☃" in report
    code, out, err = run("predict rün☃ ☃.csv --column texte -o - --quiet", "ascii")
    assert code == 0, err
    assert {json.loads(line)["label"] for line in out.splitlines()} <= {"é☃", "q"}


def test_a_progress_bar_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    screen = io.TextIOWrapper(buffer, "ascii", errors="backslashreplace")
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with pull_progress("☃", quiet=False) as report:
        report(1, 2)
    screen.flush()
    assert b"\\u2603" in buffer.getvalue()


@pytest.mark.skipif(os.name == "nt", reason="names of files are text")
def test_bytes_of_a_name_that_are_no_text_are_printed_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr("bothways.checkpoints.sources.pull", lambda *_, **__: Path("a\udcff☃"))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, "utf-8"))
    monkeypatch.setattr(sys, "argv", ["bothways", "pull", "x"])
    with pytest.raises(SystemExit):
        main()
    sys.stdout.flush()
    assert buffer.getvalue() == b"a\xff" + "☃".encode() + b"\n"

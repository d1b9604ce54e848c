"""Options of inputs, the same for `bothways encode` and `bothways predict`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways import Alphabet, EncoderConfig, Series
from bothways.sequences import SequenceReader, SeriesReader, SymbolReader

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def proteins(tmp_path_factory: pytest.TempPathFactory) -> str:
    alphabet = Alphabet.protein()
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=16, vocab_size=len(alphabet), max_length=32
    )
    reader: SequenceReader = SymbolReader(alphabet)
    return str(bothways.create(tmp_path_factory.mktemp("models") / "proteins", config, reader))


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> str:
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=16, input="vectors", num_channels=2,
        max_length=32,
    )  # fmt: skip
    reader: SequenceReader = SeriesReader(Series.as_is(2))
    return str(bothways.create(tmp_path_factory.mktemp("models") / "series", config, reader))


def records(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_rows_without_a_value_are_refused_or_counted(run: Run, proteins: str) -> None:
    Path("x.csv").write_text("key,text\na,MK\nb,\nc,LAT\n")
    arguments = ("encode", "x.csv", "--column", "text", "-o", "o.jsonl", "--model", proteins)
    code, _, err = run(*arguments)
    assert (code, Path("o.jsonl").exists()) == (1, False)
    assert "x.csv, row 2 (line 3), column 'text': the value is missing" in err
    code, _, err = run(*arguments, "--on-missing", "skip", "--quiet")
    assert code == 0, err
    assert "rows without a value that were skipped: 1, the first is x.csv, row 2 (line 3)" in err
    assert [row["id"] for row in records("o.jsonl")] == ["0", "2"]
    code, _, err = run(*arguments, "--on-missing", "empty", "--overwrite")
    assert "rows without a value that were read as empty texts: 1, the first is x.csv, row 2" in err
    assert [row["text"] for row in records("o.jsonl")] == ["MK", "", "LAT"]


def test_directories_and_whole_files_are_encoded(run: Run, proteins: str) -> None:
    Path("in").mkdir()
    for name, content in {
        "b.txt": "MK\nLA\n",
        "a.txt": "MKV\n",
        "c.xyz": "",
        ".x.txt": "M",
    }.items():
        (Path("in") / name).write_text(content)
    code, _, err = run("encode", "in", "-o", "o.jsonl", "--model", proteins)
    assert code == 0, err
    assert "in: left out files of other formats: c.xyz" in err
    assert [row["text"] for row in records("o.jsonl")] == ["MKV", "MK", "LA"]
    code, _, err = run("encode", "in/a.*", "--per-file", "-o", "p.jsonl", "--model", proteins)
    assert code == 0, err
    assert [(row["id"], row["text"]) for row in records("p.jsonl")] == [
        ("in/a.txt", "MKV"),
    ]


def test_a_file_in_a_directory_cannot_be_the_output(run: Run, proteins: str) -> None:
    Path("in").mkdir()
    Path("in/a.jsonl").write_text('{"text": "MK"}\n')
    code, _, err = run("encode", "in", "-o", "in/a.jsonl", "--overwrite", "--model", proteins)
    assert (code, err) == (1, "error: in/a.jsonl: is also an input; give the output another name\n")


def test_a_format_by_content_and_another_encoding(run: Run, proteins: str) -> None:
    Path("data").write_bytes('{"text": "MK", "note": "\u00e9"}\n'.encode("latin-1"))
    code, _, err = run("encode", "data", "-o", "o.jsonl", "--model", proteins)
    assert code == 1
    assert "looks like windows-1252: if it is, give --encoding windows-1252" in err
    arguments = ("encode", "data", "--column", "text", "-o", "o.jsonl", "--model", proteins)
    code, _, err = run(*arguments, "--encoding", "latin-1")
    assert code == 0, err
    assert "data: read as jsonl, by its content" in err


def test_series_are_read_from_numpy_files(run: Run, series: str) -> None:
    values = np.random.default_rng(0).normal(size=(2, 5, 2))
    np.save("x.npy", values)
    np.savez("x.npz", a=values[0], b=values[1, :3])
    code, _, err = run("encode", "x.npy", "x.npz", "-o", "o.jsonl", "--model", series)
    assert code == 0, err
    found = records("o.jsonl")
    assert [row["id"] for row in found] == ["0", "1", "a", "b"]
    expected = bothways.load(series).encode([*values, values[0], values[1, :3]])
    np.testing.assert_allclose([row["vector"] for row in found], expected, atol=1e-6)


def test_a_row_may_be_longer_than_the_limit_on_request(run: Run, proteins: str) -> None:
    Path("x.txt").write_text("MK" * 600 + "\n")
    arguments = ("encode", "x.txt", "-o", "o.npy", "--model", proteins, "--max-row-size")
    code, _, err = run(*arguments, "1kB")
    assert (code, "x.txt, line 1: a line of more than 1,000 bytes" in err) == (1, True)
    assert run(*arguments, "2kB")[0] == 0

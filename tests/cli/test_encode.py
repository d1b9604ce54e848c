"""`bothways encode` with inputs other than lines of text, and its messages."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bothways
from bothways import Alphabet, EncoderConfig, Series
from bothways.errors import TruncationWarning
from bothways.sequences import SequenceReader, SeriesReader, SymbolReader

SAME = 1e-6
"""fp32 through another order of additions."""

Run = Callable[..., tuple[int, str, str]]
PROTEINS = Alphabet.protein()


@pytest.fixture(scope="module")
def proteins(tmp_path_factory: pytest.TempPathFactory) -> str:
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=16, vocab_size=len(PROTEINS), max_length=32
    )
    reader: SequenceReader = SymbolReader(PROTEINS)
    return str(bothways.create(tmp_path_factory.mktemp("models") / "proteins", config, reader))


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> str:
    config = EncoderConfig(
        num_layers=1,
        num_heads=2,
        d_model=8,
        d_ff=16,
        input="vectors",
        num_channels=2,
        max_length=32,
    )
    reader: SequenceReader = SeriesReader(Series.as_is(2))
    return str(bothways.create(tmp_path_factory.mktemp("models") / "series", config, reader))


def test_fasta_keeps_the_names_of_its_records(run: Run, proteins: str) -> None:
    Path("x.fasta").write_text(">P1 first\nMKV\nLAT\n>P2\nMK\n")
    code, _, err = run("encode", "x.fasta", "-o", "x.parquet", "--model", proteins)
    assert code == 0, err
    table = pq.read_table("x.parquet")
    assert table["id"].to_pylist() == ["P1", "P2"]
    np.testing.assert_allclose(
        np.array(table["vector"].to_pylist()),
        bothways.load(proteins).encode(["MKVLAT", "MK"]),
        atol=SAME,
    )


def test_series_are_read_from_lists_of_numbers(run: Run, series: str) -> None:
    values = [[[1.0, 2.0], [3.0, 4.0]], [[0.5, -1.0]]]
    Path("x.jsonl").write_text("".join(json.dumps({"values": v}) + "\n" for v in values))
    pq.write_table(pa.table({"values": pa.array(values)}), "x.parquet")
    expected = bothways.load(series).encode([np.array(v) for v in values])
    for source in ("x.jsonl", "x.parquet"):
        code, _, err = run("encode", source, "-o", "o.npy", "--model", series, "--overwrite")
        assert code == 0, err
        np.testing.assert_allclose(np.load("o.npy"), expected, atol=SAME)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("[[1, NaN]]", "x.jsonl, row 2, column 'values': position 0"),
        ("[[1, Infinity]]", "x.jsonl, row 2, column 'values': position 0"),
        ("[]", "x.jsonl, row 2, column 'values'"),
        ("[[1, 2, 3]]", "x.jsonl, row 2, column 'values'"),
        ("[1, 2]", "x.jsonl, row 2, column 'values'"),
    ],
)
def test_an_invalid_series_is_named_by_its_place(
    run: Run, series: str, values: str, message: str
) -> None:
    Path("x.jsonl").write_text(f'{{"values": [[1, 2]]}}\n{{"values": {values}}}\n')
    code, _, err = run("encode", "x.jsonl", "-o", "o.npy", "--model", series)
    assert code == 1
    assert message in err
    assert not Path("o.npy").exists()


@pytest.mark.parametrize("bad", [-1, len(PROTEINS)])
def test_ids_from_parquet_are_not_changed(run: Run, proteins: str, bad: int) -> None:
    ids = [[1, 4, 5], [2, 6]]
    pq.write_table(pa.table({"ids": ids}), "x.parquet")
    code, _, err = run("encode", "x.parquet", "-o", "o.npy", "--model", proteins, "--column", "ids")
    assert code == 0, err
    expected = bothways.load(proteins).encode([np.array(row) for row in ids])
    np.testing.assert_allclose(np.load("o.npy"), expected, atol=SAME)

    pq.write_table(pa.table({"ids": [[1], [4, bad]]}), "bad.parquet")
    code, _, err = run(
        "encode", "bad.parquet", "-o", "bad.npy", "--model", proteins, "--column", "ids"
    )
    assert code == 1
    assert "bad.parquet, row 2, column 'ids'" in err
    assert f"id {bad}" in err


def test_a_symbol_outside_the_alphabet_is_named_by_its_place(run: Run, tmp_path: Path) -> None:
    alphabet = Alphabet(symbols=("A", "C"))
    config = EncoderConfig(num_layers=1, num_heads=1, d_model=8, d_ff=8, vocab_size=2)
    model = bothways.create(tmp_path / "strict", config, SymbolReader(alphabet))
    Path("x.fa").write_text(">one\nACCA\n>two\nAC\nXA\n")
    code, _, err = run("encode", "x.fa", "-o", "o.npy", "--model", model)
    assert code == 1
    assert "x.fa, row 2 (line 3): character 2 is 'X'" in err


def test_a_row_that_is_too_long_is_an_error_on_request(run: Run, proteins: str) -> None:
    Path("x.txt").write_text("MKV\n" + "MKV" * 20 + "\n")
    options = ("-o", "o.npy", "--model", proteins, "--on-overflow", "error")
    code, _, err = run("encode", "x.txt", *options)
    assert code == 1
    assert "x.txt, row 2: " in err


def test_windows_encode_a_long_row_whole(run: Run, proteins: str) -> None:
    Path("x.txt").write_text("MKV" * 20 + "\n")
    options = ("-o", "o.parquet", "--model", proteins, "--on-overflow", "window")
    code, _, err = run("encode", "x.txt", *options)
    assert code == 0
    assert "warning" not in err
    table = pq.read_table("o.parquet")
    assert table["truncated"].to_pylist() == [False]
    assert table["num_tokens"].to_pylist() == [62]  # 60 residues, begin and end


def test_the_chosen_column_is_printed(run: Run, proteins: str) -> None:
    Path("x.csv").write_text("MKV\nMK\n")  # no header: the first row is taken for one
    _, _, err = run("encode", "x.csv", "-o", "o.npy", "--model", proteins)
    assert err.startswith("x.csv: encoding column 'MKV'\nencoded 1 rows")
    _, _, err = run("encode", "x.csv", "-o", "p.npy", "--model", proteins, "--column", "MKV")
    assert err.startswith("encoded 1 rows")


@pytest.mark.parametrize("separator_line", ["", "sep=;\n"])
def test_a_csv_with_semicolons_is_split_and_the_delimiter_printed(
    run: Run, proteins: str, separator_line: str
) -> None:
    Path("x.csv").write_text(f"{separator_line}id;text\na;MKV\nb;MK\n")
    code, _, err = run("encode", "x.csv", "--id-column", "id", "-o", "o.jsonl", "--model", proteins)
    assert code == 0
    assert err.startswith("x.csv: the delimiter is ';'\nx.csv: encoding column 'text'\n")
    rows = [json.loads(line) for line in Path("o.jsonl").read_text().splitlines()]
    rows = [row for row in rows if "text" in row]
    assert [(row["id"], row["text"]) for row in rows] == [("a", "MKV"), ("b", "MK")]
    options = ("--model", proteins, "--delimiter", ";", "--column", "text")
    code, _, err = run("encode", "x.csv", "-o", "p.jsonl", *options)
    assert code == 0
    assert "delimiter" not in err
    assert "encoded 2 rows" in err


def test_quiet_still_warns_of_truncated_rows(run: Run, proteins: str) -> None:
    Path("x.csv").write_text("text\nMK\n")
    options = ("--model", proteins, "--quiet")
    assert run("encode", "x.csv", "-o", "o.npy", *options) == (0, "", "")
    Path("y.csv").write_text(f"text\n{'MK' * 40}\n")
    code, _, err = run("encode", "y.csv", "-o", "p.npy", *options)
    assert code == 0
    assert err.startswith("warning: truncated 1 of 1 rows")
    assert err.count("\n") == 1


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_an_input_cannot_be_the_output(run: Run, proteins: str, overwrite: tuple[str, ...]) -> None:
    Path("x.jsonl").write_text('{"text": "MK"}\n')
    Path("link.jsonl").symlink_to("x.jsonl")
    code, _, err = run("encode", "x.jsonl", "-o", "link.jsonl", "--model", proteins, *overwrite)
    assert code == 1
    assert "is also an input" in err
    assert Path("x.jsonl").read_text() == '{"text": "MK"}\n'


def test_inputs_are_checked_before_the_model_is_loaded(run: Run) -> None:
    code, _, err = run("encode", "none.txt", "-o", "o.npy", "--model", "no such model")
    assert code == 1
    assert err == "error: none.txt: no such file\n"


def test_dimensions_pooling_and_length_are_those_of_the_options(run: Run, proteins: str) -> None:
    Path("x.txt").write_text("MKV\nLAT\n")
    options = ("--dimensions", 3, "--pooling", "cls", "--normalize", "--model", proteins)
    assert run("encode", "x.txt", "-o", "o.npy", *options)[0] == 0
    found = np.load("o.npy")
    expected = bothways.load(proteins).encode(
        ["MKV", "LAT"], dimensions=3, pooling="cls", normalize=True
    )
    np.testing.assert_allclose(found, expected, atol=SAME)
    assert json.loads(Path("o.npy.json").read_text())["pooling"] == "cls"


def test_a_vector_does_not_depend_on_the_memory_limit(run: Run, proteins: str) -> None:
    Path("x.txt").write_text("".join(f"{'MKVLAT'[: 1 + i % 6]}\n" for i in range(500)))
    run("encode", "x.txt", "-o", "wide.npy", "--model", proteins)
    _, _, err = run("encode", "x.txt", "-o", "o.npy", "--model", proteins, "--max-memory", "1MB")
    limit = err.split("give at least ")[1].strip()
    code, _, err = run(
        "encode", "x.txt", "-o", "narrow.npy", "--model", proteins, "--max-memory", limit
    )
    assert code == 0, err
    np.testing.assert_allclose(np.load("narrow.npy"), np.load("wide.npy"), atol=SAME)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_an_interrupt_during_encoding_leaves_no_files(proteins: str, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("MKVLATMKVLAT\n" * 2_000_000)
    command = [sys.executable, "-m", "bothways", "encode", "x.txt", "-o", "o.parquet"]
    running = subprocess.Popen(
        [*command, "--model", proteins, "--backend", "reference"],  # the slowest
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(tmp_path.glob(".o.parquet.*")):
        time.sleep(0.05)
    time.sleep(2)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err.splitlines()[-1] == "interrupted"
    assert "with a folder as output (-o vectors/), the same command resumes" in err
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["x.txt"]


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk")
def test_a_full_disk_leaves_no_output(run: Run, proteins: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounting.returncode:
        pytest.skip("only root may mount a disk")
    try:
        Path("x.txt").write_text("MKV\n" * 10_000)
        code, _, err = run("encode", "x.txt", "-o", disk / "o.parquet", "--model", proteins)
        assert code == 1
        assert "o.parquet: writing failed: No space left on device" in err
        assert "Traceback" not in err
        assert list(disk.iterdir()) == []
    finally:
        with contextlib.suppress(OSError):
            subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a disk")
def test_a_read_only_disk_is_reported_before_the_model_is_loaded(run: Run, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro", "none", str(disk)], capture_output=True, check=False
    )
    if mounting.returncode:
        pytest.skip("only root may mount a disk")
    try:
        Path("x.txt").write_text("MKV\n")
        code, _, err = run("encode", "x.txt", "-o", disk / "o.npy", "--model", "no such model")
        assert code == 1
        assert "o.npy: writing failed: Read-only file system" in err
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_token_vectors_are_lists_beside_their_tokens_and_offsets(run: Run, proteins: str) -> None:
    Path("x.fasta").write_text(f">a\nMKV\n>b\n{'M' * 40}\n")
    command = ("encode", "x.fasta", "--tokens", "--model", proteins, "-o")
    code, _, err = run(*command, "o.parquet")
    assert code == 0
    assert "truncated 1 of 2 rows" in err
    assert f"encoded 2 rows, {5 + 32} tokens" in err
    assert run(*command, "o.jsonl")[0] == 0
    rows = pq.read_table("o.parquet").to_pylist()
    lines = [json.loads(line) for line in Path("o.jsonl").read_text().splitlines()]
    with pytest.warns(TruncationWarning):
        expected = bothways.load(proteins).contextualize(["MKV", "M" * 40])
    for row, line, vectors in zip(rows, lines, expected, strict=True):
        assert line.pop("origin")["pooling"] == "none"
        stored = np.array(row.pop("vectors"), np.float32)
        np.testing.assert_array_equal(stored, np.array(line.pop("vectors"), np.float32))
        assert row == line
        assert vectors.offsets is not None
        assert (row["tokens"], row["offsets"]) == (vectors.tokens, vectors.offsets.tolist())
        assert row["truncated"] == vectors.truncated
        np.testing.assert_allclose(stored, vectors.vectors, atol=SAME)
    assert [(row["id"], row["text"]) for row in rows] == [("a", "MKV"), ("b", "M" * 40)]
    assert pq.read_schema("o.parquet").metadata[b"bothways.dimensions"] == b"8"


def test_columns_are_copied_and_ids_noted(run: Run, proteins: str) -> None:
    Path("x.csv").write_text("id,seq,lang\na,MKV,en\na,MK,de\n")
    command = ("encode", "x.csv", "--column", "seq", "--model", proteins, "-o")
    code, _, err = run(*command, "o.parquet", "--keep-all")
    assert code == 0, err
    assert "x.csv: ids are those of column 'id'\n" in err
    assert "rows with the id of an earlier row: 1, the first is 'a' in x.csv, row 1 and" in err
    rows = pq.read_table("o.parquet").to_pylist()
    assert [(row["id"], row["lang"]) for row in rows] == [("a", "en"), ("a", "de")]
    Path("x.csv").write_text("id,seq,lang\n0,MKV,en\n")
    Path("y.csv").write_text("id,seq,lang\n0,MKV,fr\n")
    _, _, err = run("encode", "x.csv", "y.csv", *command[2:], "numbers.jsonl")
    assert "the first is '0' in x.csv, row 1 and y.csv, row 1" in err
    Path("x.csv").write_text("id,seq,lang\na,MKV,en\na,MK,de\n")
    assert run(*command, "t.jsonl", "--keep", "lang", "--tokens")[0] == 0
    line = json.loads(Path("t.jsonl").read_text().splitlines()[1])
    assert (line["lang"], line["text"]) == ("de", "MK")


@pytest.mark.parametrize(
    ("output", "arguments", "message"),
    [
        ("o.npy", ("--keep", "lang"), ".npy has vectors only"),
        ("o.jsonl", ("--keep", "id"), "x.csv: the output has a column 'id' of its own"),
        ("o.jsonl", ("--keep", "no"), "x.csv: no column 'no'"),
        ("o.jsonl", ("--keep", "lang", "--keep-all"), "use only one"),
    ],
)
def test_columns_that_cannot_be_copied_are_errors(
    run: Run, proteins: str, output: str, arguments: tuple[str, ...], message: str
) -> None:
    Path("x.csv").write_text("id,seq,lang\na,MKV,en\n")
    command = ("encode", "x.csv", "--column", "seq", "--model", proteins)
    code, _, err = run(*command, "-o", output, *arguments)
    assert code == 1
    assert message in err
    assert [path.name for path in Path().iterdir()] == ["x.csv"]


def test_token_vectors_of_series_have_no_text_and_no_offsets(run: Run, series: str) -> None:
    Path("x.jsonl").write_text('{"values": [[1, 2], [3, 4]]}\n{"values": [[5, 6]]}\n')
    assert run("encode", "x.jsonl", "--tokens", "--model", series, "-o", "o.parquet")[0] == 0
    rows = pq.read_table("o.parquet").to_pylist()
    assert [(row["text"], row["offsets"], len(row["vectors"])) for row in rows] == [
        (None, None, 2),
        (None, None, 1),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "o.npy"), "o.npy: unknown output format; supported are .parquet, .jsonl"),
        (("-o", "o.jsonl", "--pooling", "cls"), "leave out --pooling"),
        (("-o", "o.jsonl", "--dimensions", "2"), "leave out --dimensions"),
    ],
)
def test_token_vectors_have_no_pooling_and_no_npy(
    run: Run, arguments: tuple[str, ...], message: str
) -> None:
    Path("x.txt").write_text("MK\n")
    code, _, err = run("encode", "x.txt", "--tokens", *arguments, "--model", "no such model")
    assert code == 1
    assert message in err


@pytest.mark.skipif(os.name != "posix", reason="writes to a device")
def test_the_format_of_an_output_without_a_suffix_is_given(run: Run, proteins: str) -> None:
    Path("x.txt").write_text("MKV\nMK\n")
    command = ("encode", "x.txt", "--model", proteins, "--quiet")
    assert run(*command, "-o", os.devnull, "--format", "parquet") == (0, "", "")
    for format_ in ("parquet", "npy", "jsonl"):
        assert run(*command, "-o", f"{format_} file", "--format", format_) == (0, "", "")
    assert run(*command, "-o", os.devnull) == (0, "", "")
    assert pq.read_table("parquet file").num_rows == 2
    assert np.load("npy file").shape == (2, 8)
    assert len(Path("jsonl file").read_text().splitlines()) == 2
    assert sorted(path.name for path in Path().iterdir()) == [
        *("jsonl file", "npy file", "npy file.json", "parquet file", "x.txt")
    ]


@pytest.fixture
def letters(tmp_path: Path) -> str:
    alphabet = Alphabet(symbols=("<unknown>", "C", "N"), unknown="<unknown>")
    config = EncoderConfig(num_layers=1, num_heads=2, d_model=8, d_ff=8, vocab_size=3)
    return str(bothways.create(tmp_path / "letters", config, SymbolReader(alphabet)))


def test_rows_of_unknown_tokens_are_counted_refused_or_ignored(run: Run, letters: str) -> None:
    Path("x.txt").write_text("CCN\nccn\nnnc\n")
    command = ("encode", "x.txt", "--model", letters, "--overwrite", "-o")
    code, _, err = run(*command, "x.jsonl")
    assert code == 0
    assert "warning: 2 of 3 rows consist mostly of tokens that the model does not know" in err
    assert "the first is x.txt, row 2; write them in upper case" in err
    rows = [json.loads(line) for line in Path("x.jsonl").read_text().splitlines()]
    assert [row["num_unknown"] for row in rows] == [0, 3, 3]
    run(*command, "x.parquet")
    assert pq.read_table("x.parquet")["num_unknown"].to_pylist() == [0, 3, 3]

    code, _, err = run(*command, "y.jsonl", "--on-unknown", "error")
    assert code != 0
    assert "x.txt, row 2: 3 of 3 tokens are unknown to the model; write them in upper" in err
    assert not Path("y.jsonl").exists()
    code, _, err = run(*command, "y.jsonl", "--on-unknown", "ignore")
    assert (code, "unknown" in err) == (0, False)


def test_chunks_have_a_row_each_with_their_characters(run: Run, proteins: str) -> None:
    Path("x.jsonl").write_text(
        json.dumps({"id": "a", "sequence": "M" * 40, "lang": "en"})
        + '\n{"id": "b", "sequence": "MKV", "lang": "de"}\n'
    )
    command = ("encode", "x.jsonl", "--column", "sequence", "--chunks", "16", "--model", proteins)
    for output in ("o.parquet", "o.jsonl"):
        code, _, err = run(*command, "--keep", "lang", "-o", output)
        assert code == 0, err
        assert "encoded 2 rows, 47 tokens" in err
    rows = pq.read_table("o.parquet").to_pylist()
    lines = [json.loads(line) for line in Path("o.jsonl").read_text().splitlines()]
    spans = [("a", 0, 16), ("a", 16, 32), ("a", 32, 40), ("b", 0, 3)]
    assert [(row["id"], row["start"], row["end"]) for row in rows] == spans
    assert [row["num_tokens"] for row in rows] == [16, 16, 8, 3]
    assert [row["lang"] for row in rows] == ["en", "en", "en", "de"]
    assert rows[3]["text"] == "MKV"
    expected = bothways.load(proteins).encode_chunks(["M" * 40, "MKV"], chunks=16)
    vectors = np.concatenate([result.vectors for result in expected])
    np.testing.assert_allclose([row["vector"] for row in rows], vectors, atol=SAME)
    for row, line in zip(rows, lines, strict=True):
        assert line.pop("origin")["dimensions"] == 8
        np.testing.assert_array_equal(np.float32(line.pop("vector")), np.float32(row.pop("vector")))
        assert row == line
    code, out, err = run("search", "MKV", "--in", "o.parquet")
    assert code == 0, err
    assert "MKV" in out


def test_rows_without_chunks_have_no_rows(run: Run, proteins: str) -> None:
    Path("x.txt").write_text("\nMKV\n")
    command = ("encode", "x.txt", "--on-missing", "empty", "--chunks", "2", "--model", proteins)
    code, _, err = run(*command, "-o", "o.jsonl")
    assert code == 0, err
    assert [json.loads(line)["id"] for line in Path("o.jsonl").read_text().splitlines()] == [
        "1"
    ] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "o.npy", "--chunks", "2"), ".npy has vectors only; use .parquet or .jsonl with"),
        (("-o", "o.jsonl", "--chunks", "0"), "--chunks 0: expected a number of tokens, or"),
        (("-o", "o.jsonl", "--chunks", "2", "--tokens"), "use only one"),
        (("-o", "o.parquet", "--chunks", "2", "--vectors-as", "int8"), "use f16 or binary with"),
        (("-o", "vectors/", "--chunks", "2"), "--chunks is for a single file of vectors"),
    ],
)
def test_chunks_that_cannot_be_written_are_errors(
    run: Run, arguments: tuple[str, ...], message: str
) -> None:
    Path("x.txt").write_text("MK\n")
    code, _, err = run("encode", "x.txt", *arguments, "--model", "no such model")
    assert code == 1
    assert message in err


def test_long_rows_are_chunked_in_windows_unless_cut(run: Run, proteins: str) -> None:
    Path("x.txt").write_text("M" * 40 + "\n")
    command = ("encode", "x.txt", "--chunks", "16", "--model", proteins, "-o", "o.jsonl")
    code, _, err = run(*command, "--on-overflow", "truncate")
    assert code == 0
    assert "truncated 1 of 1 rows" in err
    assert len(Path("o.jsonl").read_text().splitlines()) == 2

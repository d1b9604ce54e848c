"""Memory limits: the sizes that they allow, and that they are kept."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import bothways
from bothways import Alphabet, Encoder, EncoderConfig
from bothways.errors import InputError
from bothways.io.sizes import parse_bytes
from bothways.sequences import SymbolReader
from bothways.streaming import memory
from bothways.streaming.memory import ChunkPlan, plan_chunks

GIGABYTE = 10**9


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model whose activations weigh more than its weights."""
    alphabet = Alphabet.protein()
    config = EncoderConfig(
        num_layers=2, num_heads=4, d_model=64, d_ff=4096, vocab_size=len(alphabet), max_length=512
    )
    folder = tmp_path_factory.mktemp("models") / "proteins"
    return bothways.create(folder, config, SymbolReader(alphabet))


@pytest.fixture(scope="module")
def encoder(model: Path) -> Encoder:
    return bothways.load(model)


def test_without_a_limit_chunks_have_their_default_sizes(encoder: Encoder) -> None:
    plan = plan_chunks(None, encoder, dimensions=64, windows=False)
    assert plan == ChunkPlan(characters_read=plan.characters_read)
    assert plan.longest_row is None


def test_a_lower_limit_gives_smaller_chunks(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever other tests have made this process hold, or held at its peak.
    monkeypatch.setattr(memory, "_resident_bytes", lambda: GIGABYTE)
    monkeypatch.setattr(memory, "_peak_bytes", lambda: GIGABYTE)
    wide, narrow = (
        plan_chunks(limit, encoder, dimensions=64, windows=False)
        for limit in (8 * GIGABYTE, _least(encoder) + 20 * 10**6)
    )
    assert wide == ChunkPlan(longest_row=wide.longest_row, characters_read=wide.characters_read)
    assert narrow.batch_tokens < wide.batch_tokens
    assert narrow.characters < wide.characters
    assert 0 < (narrow.longest_row or 0) < (wide.longest_row or 0)


def test_token_vectors_need_smaller_chunks(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_resident_bytes", lambda: GIGABYTE)
    monkeypatch.setattr(memory, "_peak_bytes", lambda: GIGABYTE)
    for limit in (None, 2 * GIGABYTE):
        pooled, tokens = (
            plan_chunks(limit, encoder, dimensions=64, windows=False, token_vectors=each)
            for each in (False, True)
        )
        assert 0 < tokens.characters < pooled.characters
        assert tokens.numbers_per_character == 1


def test_a_row_counts_as_far_as_it_is_read(encoder: Encoder) -> None:
    plan = plan_chunks(None, encoder, dimensions=64, windows=False, query="ab")
    read = plan.characters_read
    assert read is not None
    assert plan.size_of("M" * 10) == 2 + 10
    assert plan.size_of("M" * (read + 4_000_000)) == 2 + read + 200_000
    assert plan.size_of(("MK", "V")) == 2 + 3 + 2
    windows = plan_chunks(None, encoder, dimensions=64, windows=True)
    assert windows.size_of("M" * (read + 4_000_000)) == read + 4_000_000


def test_windows_allow_only_shorter_rows(encoder: Encoder) -> None:
    limit = _least(encoder) + GIGABYTE  # whatever other tests have made this process hold
    cut, windowed = (
        plan_chunks(limit, encoder, dimensions=64, windows=windows).longest_row or 0
        for windows in (False, True)
    )
    assert 0 < windowed < cut


def test_a_limit_that_is_too_low_is_refused_with_the_lowest_possible_one(encoder: Encoder) -> None:
    with pytest.raises(InputError, match=r"--max-memory 1\.0 MB is too low"):
        plan_chunks(10**6, encoder, dimensions=64, windows=False)
    assert plan_chunks(_least(encoder), encoder, dimensions=64, windows=False).batch_tokens > 0


def _least(encoder: Encoder) -> int:
    with pytest.raises(InputError) as refusal:
        plan_chunks(1, encoder, dimensions=64, windows=False)
    found = re.search(r"give at least (\d+MB)", str(refusal.value))
    assert found is not None
    return parse_bytes(found[1])


def test_a_limit_works_on_systems_that_do_not_report_memory(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_resident_bytes", lambda: 0)
    monkeypatch.setattr(memory, "_peak_bytes", lambda: 0)
    assert plan_chunks(GIGABYTE, encoder, dimensions=64, windows=False).batch_tokens > 0


def run_and_measure(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in a process of its own, which prints the most memory that it had, in bytes."""
    code = (
        "import sys; from bothways.streaming import memory; from bothways.cli.app import app\n"
        "try: app(sys.argv[1:])\n"
        "finally: print(memory._peak_bytes())"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs the peak of a process's memory")
def test_the_lowest_possible_limit_is_kept(model: Path, tmp_path: Path) -> None:
    (tmp_path / "x.fasta").write_text("".join(f">{i}\n{'MKVLAT' * 60}\n" for i in range(500)))

    def run(limit: str) -> "subprocess.CompletedProcess[str]":
        arguments = ("encode", "x.fasta", "-o", "x.npy", "--model", str(model), "--overwrite")
        return run_and_measure(tmp_path, *arguments, "--max-memory", limit)

    offered = re.search(r"give at least (\d+MB)", run("1MB").stderr)
    assert offered is not None
    done = run(offered[1])
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) <= parse_bytes(offered[1])


@pytest.mark.skipif(sys.platform == "win32", reason="needs the peak of a process's memory")
@pytest.mark.parametrize("output", ["x.npy", "x.jsonl", "x.parquet"])
def test_memory_does_not_grow_with_the_file(output: str, tmp_path: Path) -> None:
    config = EncoderConfig(num_layers=1, num_heads=1, d_model=8, d_ff=8, vocab_size=32)
    model = bothways.create(tmp_path / "tiny", config, SymbolReader(Alphabet.protein()))
    peaks = []
    for count in (20_000, 200_000):
        (tmp_path / "x.txt").write_text("MKVLAT\n" * count)
        arguments = ("encode", "x.txt", "-o", output, "--model", str(model), "--overwrite")
        done = run_and_measure(tmp_path, *arguments)
        assert f"encoded {count:,} rows" in done.stderr
        peaks.append(int(done.stdout.split()[-1]))
    # A row group of Parquet is held until it is full, and these rows take 16 MB in all.
    allowance = (1 << 24) if output == "x.parquet" else 0
    assert peaks[1] < 1.1 * peaks[0] + allowance


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="known on Linux alone")
def test_the_peak_does_not_include_the_parent_process() -> None:
    child = "from bothways.streaming import memory; print(memory._peak_bytes())"
    parent = (
        "import subprocess, sys; held = b'x' * 400_000_000\n"
        f"subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent], capture_output=True, text=True, check=True
    )
    assert 0 < int(done.stdout) < 200_000_000

"""Options of every command that encodes: the maximum length and the device."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import bothways
from bothways import Alphabet, EncoderConfig
from bothways.sequences import SymbolReader

Run = Callable[..., tuple[int, str, str]]

PROTEIN = "MKVLAAGIVGLL"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    alphabet = Alphabet.protein()
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=16, d_ff=32, max_length=10, vocab_size=len(alphabet)
    )
    return bothways.create(tmp_path / "protein", config, SymbolReader(alphabet))


def test_vectors_name_the_maximum_length_that_made_them(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "rows.txt").write_text(f"{PROTEIN}\nMK\n")
    code, _, err = run("encode", "rows.txt", "-o", "vectors.jsonl", "--model", folder,
                       "--max-length", 6, "--quiet")  # fmt: skip
    assert code == 0
    assert "truncated 1 of 2 rows to the model's maximum length of 6 positions" in err
    first, second = map(json.loads, (tmp_path / "vectors.jsonl").read_text().splitlines())
    assert first["origin"]["max_length"] == 6
    assert (first["num_tokens"], first["truncated"], second["num_tokens"]) == (6, True, 4)
    assert run("search", PROTEIN[:8], "--in", "vectors.jsonl", "--max-length", 10)[0] == 0
    code, _, err = run("search", PROTEIN, "--in", "vectors.jsonl", "--max-length", 11)
    assert code == 1
    assert "max_length=11: this model takes 1 to 10 tokens" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "cuda"], "device='cuda': torch .* sees no GPU on this machine"),
        (["--device", "cuda", "--backend", "native"], "the native backend computes on the CPU"),
        (["--device", "gpu"], "device='gpu': expected 'cpu', 'cuda', 'cuda:N' or 'mps'"),
    ],
)
def test_a_device_that_is_not_available_is_refused(
    run: Run, folder: Path, tmp_path: Path, arguments: list[str], message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    (tmp_path / "rows.txt").write_text("MK\n")
    code, _, err = run("encode", "rows.txt", "-o", "v.jsonl", "--model", folder, *arguments)
    assert code == 1
    assert re.search(message, " ".join(err.split()))
    assert not (tmp_path / "v.jsonl").exists()


def test_the_cpu_is_a_device_of_every_backend(run: Run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("MK\n")
    for backend in ("auto", "native", "torch", "reference"):
        code, _, _ = run("encode", "rows.txt", "-o", f"{backend}.jsonl", "--model", folder,
                         "--backend", backend, "--device", "cpu", "--quiet")  # fmt: skip
        assert code == 0

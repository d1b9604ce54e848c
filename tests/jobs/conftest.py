"""A small model, and jobs of it."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.jobs import JobMaker

import bothways
from bothways import Alphabet, Encoder, EncoderConfig
from bothways.sequences import SequenceReader, SymbolReader

PROTEINS = Alphabet.protein()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=16, vocab_size=len(PROTEINS), max_length=32
    )
    reader: SequenceReader = SymbolReader(PROTEINS)
    folder = bothways.create(tmp_path_factory.mktemp("models") / "proteins", config, reader)
    return str(folder)


@pytest.fixture(scope="session")
def encoder(model: str) -> Encoder:
    return bothways.load(model, backend="native", threads=1)


@pytest.fixture
def jobs(tmp_path: Path, model: str, encoder: Encoder) -> JobMaker:
    return JobMaker(tmp_path, model, encoder)


@pytest.fixture(scope="session")
def proteins() -> list[str]:
    """95 sequences, a third of which are repeated."""
    generator = random.Random(5)  # noqa: S311
    unique = [
        "".join(generator.choices("ACDEFGHIKLMNPQRSTVWY", k=generator.randrange(1, 40)))
        for _ in range(65)
    ]
    return unique + generator.choices(unique, k=30)


@pytest.fixture
def csv(tmp_path: Path, proteins: list[str]) -> Path:
    path = tmp_path / "proteins.csv"
    path.write_text("id,text,n\n" + "".join(f"p{i},{p},{i}\n" for i, p in enumerate(proteins)))
    return path


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, Any]]:
    """The files of a job's folder; of records, all but times."""

    def read(folder: Path) -> dict[str, Any]:
        files: dict[str, Any] = {}
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = str(path.relative_to(folder))
            if path.suffix == ".json" and name != "_SUCCESS.json":
                content = json.loads(path.read_text())
                files[name] = {
                    key: value
                    for key, value in content.items()
                    if key not in ("seconds", "created", "digest")
                }
            else:
                files[name] = path.read_bytes()
        return files

    return read

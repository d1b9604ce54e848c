"""What the tests of data files share: an origin, rows, and what reading a file gives."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.files import FileOptions, Origin, VectorBatch, open_vector_output, read_rows


@pytest.fixture
def origin() -> Origin:
    return Origin(
        model="minilm",
        fingerprint="ab" * 32,
        pooling="mean",
        normalization="l2",
        dimensions=4,
        precision="fp32",
        prompt="",
        version="0.1.0",
    )


@pytest.fixture
def encoded() -> Callable[..., VectorBatch]:
    def make(count: int, *, start: int = 0) -> VectorBatch:
        rng = np.random.default_rng(start)
        return VectorBatch(
            ids=[f"row-{start + i}" for i in range(count)],
            texts=[f"text {start + i}" for i in range(count)],
            vectors=rng.standard_normal((count, 4), dtype=np.float32),
            num_tokens=np.arange(count) + 3,
            num_unknown=np.arange(count) % 3,
            truncated=np.arange(count) % 2 == 1,
        )

    return make


@pytest.fixture
def store() -> Callable[..., str]:
    """Write vectors to a file of the format its name says; the ids are id-0, id-1, ..."""

    def write(
        path: Path,
        origin: Origin,
        vectors: np.ndarray,
        texts: list[str | None] | None = None,
        *,
        overwrite: bool = False,
    ) -> str:
        texts = [f"text {i}" for i in range(len(vectors))] if texts is None else texts
        with open_vector_output(str(path), overwrite=overwrite) as output:
            writer = output.start(origin)
            for start in range(0, len(vectors), 100):
                part = slice(start, min(start + 100, len(vectors)))
                count = part.stop - part.start
                ids = [f"id-{i}" for i in range(part.start, part.stop)]
                tokens, truncated = np.full(count, 3), np.zeros(count, bool)
                unknown = np.zeros(count, np.int64)
                writer.write(
                    VectorBatch(ids, texts[part], vectors[part], tokens, unknown, truncated)
                )
        return str(path)

    return write


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Any]]:
    """Write bytes to a file of this name and read its values."""

    def values(name: str, content: bytes, **options: Any) -> list[Any]:
        path = tmp_path / name
        path.write_bytes(content)
        how = {field: options.pop(field) for field in FileOptions._fields if field in options}
        rows = read_rows([str(path)], options=FileOptions(**how), **options)
        return [row.value for row in rows]

    return values


@pytest.fixture
def no_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a core install: importing pyarrow fails."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)

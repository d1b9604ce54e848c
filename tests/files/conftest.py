"""What the tests of data files share: an origin, rows, and what reading a file gives."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.files import Encoded, Origin, read_rows


@pytest.fixture
def origin() -> Origin:
    return Origin(
        model="minilm",
        fingerprint="ab" * 32,
        pooling="mean",
        normalisation="l2",
        dimensions=4,
        precision="fp32",
        prompt="",
        version="0.1.0",
    )


@pytest.fixture
def encoded() -> Callable[..., Encoded]:
    def make(count: int, *, start: int = 0) -> Encoded:
        rng = np.random.default_rng(start)
        return Encoded(
            ids=[f"row-{start + i}" for i in range(count)],
            texts=[f"text {start + i}" for i in range(count)],
            vectors=rng.standard_normal((count, 4), dtype=np.float32),
            num_tokens=np.arange(count) + 3,
            truncated=np.arange(count) % 2 == 1,
        )

    return make


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Any]]:
    """Write bytes to a file of this name and read its values."""

    def values(name: str, content: bytes, **options: Any) -> list[Any]:
        path = tmp_path / name
        path.write_bytes(content)
        return [row.value for row in read_rows([str(path)], **options)]

    return values

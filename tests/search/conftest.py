"""What the tests of search share: a folder of clustered vectors in two parts."""

from pathlib import Path

import pytest
from tests.support.vector_parts import clustered, write_part


@pytest.fixture
def folder(tmp_path: Path) -> str:
    path = tmp_path / "vectors"
    path.mkdir()
    write_part(path / "part-0.parquet", clustered(1500, 1))
    write_part(path / "part-1.parquet", clustered(1500, 2))
    return str(path)


@pytest.fixture(autouse=True)
def few_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the recall with fewer queries, which is faster."""
    monkeypatch.setattr("bothways.search.build._QUERIES", 50)

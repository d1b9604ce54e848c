"""What the tests of training data share: files, and what is read of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bothways.training.data.source import DataSource
from bothways.training.options.data import ColumnNames
from bothways.training.options.objective import TrainingTask

Write = Callable[[str, Any], str]
OpenSource = Callable[..., DataSource]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file, in the folder that the test is in: text as it is, a list as JSON Lines."""
    monkeypatch.chdir(tmp_path)

    def make(name: str, content: str | list[Any]) -> str:
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content)
        (tmp_path / name).write_text(content, encoding="utf-8")
        return name

    return make


@pytest.fixture
def open_source(write: Write) -> OpenSource:
    """A source of one file, from what is in it."""

    def make(
        task: TrainingTask, content: str | list[Any], name: str | None = None, **options: Any
    ) -> DataSource:
        name = name or ("x.jsonl" if isinstance(content, list) else "x.csv")
        names = ColumnNames(
            inputs=tuple(options.pop("columns", ())),
            labels=tuple(options.pop("labels", ())),
            group=options.pop("group", None),
        )
        return DataSource.open([write(name, content)], task, names=names, **options)

    return make

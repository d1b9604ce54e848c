"""Fixtures of the tests of commands."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bothways.cli.app import app


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a command in a folder of its own: exit code, standard output and error."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            app([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return invoke

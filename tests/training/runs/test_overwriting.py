"""Inputs in the folder that a run replaces."""

from pathlib import Path

import pytest

from bothways.errors import ConfigError
from bothways.training.runs.overwriting import check_inputs_outside


@pytest.mark.parametrize("name", ["run", "run/x.csv", "*/x.csv", "**/*.csv"])
def test_an_input_in_the_folder_is_refused_also_by_a_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("run", "data"):
        Path(folder).mkdir()
        (Path(folder) / "x.csv").touch()
    with pytest.raises(ConfigError, match="is in run, which --overwrite removes"):
        check_inputs_outside(Path("run"), (name,))
    check_inputs_outside(Path("run"), ("data", "data/*.csv", ".", "org/model"))

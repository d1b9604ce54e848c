"""A run that bothways began before `positions` became two fields, stopped after 2 of 4 steps."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import bothways
from bothways.checkpoints import read_folder
from bothways.errors import CheckpointError
from bothways.training.pipeline import train
from bothways.training.plan import TrainingPlan

OLD = Path(__file__).parent / "format_2"
TABLES: dict[str, Any] = {
    "model": {"alphabet": "dna", "max_length": 16},
    "encoder": {"d_model": 8, "num_layers": 1, "d_ff": 8, "num_heads": 2},
    "training": {
        "max_steps": 4, "checkpoint_every": 1, "keep_checkpoints": 1, "device": "cpu",
        "validate_every": 2, "seed": 1,
    },
}  # fmt: skip


@pytest.fixture
def old_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bothways.training.report.can_draw", lambda: False)
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    return tmp_path / "run"


def plan(**encoder: Any) -> TrainingPlan:
    tables = TABLES | {"encoder": TABLES["encoder"] | encoder}
    return TrainingPlan.from_tables("classify", ["dna.jsonl"], "run", tables)


def test_an_old_run_is_a_model_folder(old_run: Path) -> None:
    config = read_folder(old_run).transformer
    assert config.position_embedding == "none"
    assert config.attention_positions == "rotary"
    assert bothways.load(old_run).encode(["ACGT"]).shape == (1, 8)


def test_an_old_run_is_resumed(old_run: Path) -> None:
    assert "positions" in json.loads((old_run / "training.json").read_text())["bound"]["encoder"]
    trained = train(plan(), resume=True)
    assert trained.result.steps == 4
    assert read_folder(old_run).transformer.attention_positions == "rotary"


def test_an_old_run_is_not_resumed_with_other_positions(old_run: Path) -> None:
    with pytest.raises(CheckpointError, match=r"encoder\.attention_positions was"):
        train(plan(attention_positions="none"), resume=True)


def test_a_plan_may_name_positions_as_before(old_run: Path) -> None:
    assert plan(positions="sinusoidal").new_model.fields == TABLES["encoder"] | {
        "position_embedding": "sinusoidal",
        "attention_positions": "none",
    }

"""A run that an earlier version wrote and a signal interrupted; `old_run/run` is its folder.

That version had one field for positions, and no frozen encoders.
`old_run/expected.safetensors` has the weights with which that version finished the run.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways.checkpoints import read_folder
from bothways.checkpoints.weight_files import read_safetensors
from bothways.errors import CheckpointError
from bothways.training.pipeline import train
from bothways.training.plan import TrainingPlan

OLD_RUN = Path(__file__).parent / "old_run"

TABLES: dict[str, dict[str, Any]] = {
    "data": {"labels": "label"},
    "model": {"alphabet": "characters", "size": "tiny"},
    "encoder": {"num_layers": 1, "num_heads": 2, "d_model": 8, "d_ff": 16, "max_length": 16},
    "training": {
        "max_steps": 8,
        "batch_tokens": 40,
        "micro_tokens": 20,
        "learning_rate": 0.01,
        "validate_every": 2,
        "checkpoint_every": 2,
        "keep_checkpoints": 1,
        "device": "cpu",
        "threads": 1,
        "seed": 5,
    },
}

WEIGHT_TOLERANCE = 1e-5
"""For another instruction set or version of torch; on the machine of the run the bits are equal."""


@pytest.fixture
def old_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(OLD_RUN / "run", tmp_path / "run")
    shutil.copy(OLD_RUN / "train.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bothways.training.report.can_draw", lambda: False)  # drawing is slow
    return tmp_path / "run"


def plan_with(**training: Any) -> TrainingPlan:
    tables = TABLES | {"training": TABLES["training"] | training}
    return TrainingPlan.from_tables("classify", ["train.csv"], "run", tables)


@pytest.mark.current_versions
def test_a_run_of_an_earlier_version_resumes_and_ends_with_the_same_weights(old_run: Path) -> None:
    finished = train(plan_with(), resume=True)
    assert finished.result.steps == 8
    weights = read_safetensors(old_run / "model.safetensors")
    expected = read_safetensors(OLD_RUN / "expected.safetensors")
    assert weights.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(weights[name], array, atol=WEIGHT_TOLERANCE, rtol=0)


def test_a_run_of_an_earlier_version_is_lengthened(old_run: Path) -> None:
    assert train(plan_with(max_steps=10), resume=True).result.steps == 10
    settings = json.loads((old_run / "training.json").read_text())["settings"]
    assert (settings["max_steps"], settings["frozen"]) == (10, False)


def test_positions_of_an_earlier_version_are_two_fields_now(old_run: Path) -> None:
    description = json.loads((old_run / "training.json").read_text())
    assert description["bound"]["encoder"]["positions"] == "rotary"
    config = read_folder(old_run).transformer
    assert (config.position_embedding, config.attention_positions) == ("none", "rotary")
    encoder = TABLES["encoder"] | {"attention_positions": "none"}
    plan = TrainingPlan.from_tables("classify", ["train.csv"], "run", TABLES | {"encoder": encoder})
    with pytest.raises(CheckpointError, match=r"encoder\.attention_positions was"):
        train(plan, resume=True)
    old_name = TrainingPlan.from_tables(
        "classify", ["train.csv"], "run", {"encoder": {"positions": "sinusoidal"}}
    )
    assert old_name.new_model.fields == {
        "position_embedding": "sinusoidal",
        "attention_positions": "none",
    }


def test_the_model_of_an_unfinished_run_of_an_earlier_version_loads(old_run: Path) -> None:
    encoder = bothways.load(old_run, backend="reference")
    assert encoder.encode(["abcd", "dba"]).shape == (2, 8)


def test_a_run_of_an_earlier_version_resumes_only_with_its_settings(old_run: Path) -> None:
    with pytest.raises(CheckpointError, match=r"settings\.warmup was 0\.1 and is now 0\.2"):
        train(plan_with(warmup=0.2), resume=True)
    tables = TABLES | {"data": TABLES["data"] | {"held_out": 0.2}}
    plan = TrainingPlan.from_tables("classify", ["train.csv"], "run", tables)
    with pytest.raises(CheckpointError, match=r"about\.data\.held_out was 3 and is now 6"):
        train(plan, resume=True)

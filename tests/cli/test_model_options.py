"""How a model folder is read: the same options in every command that takes a model."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bothways.cli.app import app
from bothways.errors import ConfigError
from bothways.server.engine import Engine
from bothways.server.settings import BatchingSettings, ModelSettings
from bothways.training.plan import TrainingPlan

COMMANDS = (
    "encode", "search", "predict", "attend", "inspect", "export", "train", "evaluate", "serve",
    "job work", "job retry", "job verify",
)  # fmt: skip


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_with_a_model_says_how_to_read_it(command: str) -> None:
    text = run(*command.split(), "--help-all").output
    for option in ("--family", "--adapter", "--route"):
        assert option in text, f"{command} has no {option}"


@pytest.fixture
def unnamed(minilm_folder: Path, tmp_path: Path) -> Path:
    """A model whose config.json does not name its family."""
    folder = shutil.copytree(minilm_folder, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    del config["model_type"]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_family_reaches_the_model_of_each_command(unnamed: Path, tmp_path: Path) -> None:
    rows = tmp_path / "pairs.tsv"
    rows.write_text("text_a\ttext_b\nhello\tgood day\nriver\tstream\n")
    evaluated = ("evaluate", unnamed, rows, "--task", "contrast")
    assert "--family bert" in run(*evaluated).stderr
    done = run(*evaluated, "--family", "bert")
    assert done.exit_code == 0, done.stderr
    settings = ModelSettings(source=str(unnamed), family="bert", threads=1, warm_up=False)
    engine = Engine.load(settings, BatchingSettings())
    assert engine.encoder.session.family == "bert"


def test_a_training_file_says_how_to_read_the_model() -> None:
    tables = {"model": {"from": "m", "family": "bert", "route": "query"}}
    plan = TrainingPlan.from_tables("classify", ["rows.csv"], "out", tables)
    assert (plan.source, plan.family, plan.route, plan.adapter) == ("m", "bert", "query", None)
    with pytest.raises(
        ConfigError, match=r"\[model\] family: applies only to a model to fine-tune"
    ):
        TrainingPlan.from_tables("classify", ["rows.csv"], "out", {"model": {"family": "bert"}})

"""What is said of a run."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bothways.training.data.training_data import TrainingData
from bothways.training.plan import TrainingPlan
from bothways.training.report.summary import (
    describe_data,
    describe_model,
    describe_steps,
    held_out_name,
    provenance,
)
from bothways.training.resolved_settings import resolve_settings
from bothways.training.settings import TrainingSettings
from bothways.training.setup.base_model import create_base_model, write_reader


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"row {i},{'xy'[i % 2]}\n" for i in range(40))
    Path("x.csv").write_text("text,label\n" + rows)
    Path("v.csv").write_text("text,label\nrow 0,x\n")


def data_of(plan: TrainingPlan) -> TrainingData:
    return TrainingData.read(plan.task, plan.files, plan.data, kind=None, seed=0)


def test_held_out_rows_are_named_by_percentage_and_file() -> None:
    data = data_of(TrainingPlan.from_tables("classify", ["x.csv"], "out"))
    assert held_out_name(data) == "10.0 % of x.csv"
    assert describe_data(data) == "36 training rows, 4 validation rows (10.0 % of x.csv); 2 labels"


def test_validation_files_are_named() -> None:
    data = data_of(
        TrainingPlan.from_tables("classify", ["x.csv"], "o", {"data": {"validation": "v.csv"}})
    )
    assert held_out_name(data) == "v.csv"
    assert describe_data(data).endswith(
        "(v.csv); 2 labels; 1 validation rows are in the training data too"
    )


def test_a_target_is_named() -> None:
    Path("y.csv").write_text("text,y\na,1\nb,2\n")
    tables = {"data": {"held_out": 0}}
    data = data_of(TrainingPlan.from_tables("regress", ["y.csv"], "out", tables))
    assert describe_data(data) == "2 training rows; predicting y"


def test_a_model_is_described_by_its_size() -> None:
    plan = TrainingPlan.from_tables("mlm", ["x.csv"], "out", {"model": {"size": "tiny"}})
    write_reader(Path(), "text", plan.new_model, "mlm", lambda: ["a b a b"])
    start = create_base_model(Path(), "text", plan.new_model, "mlm", longest=9, seed=0)
    line = describe_model(start, None)
    assert line.startswith(
        "new encoder: 2 layers of width 128, 7 tokens, up to 512 positions, 0.4 "
    )


def test_provenance_is_json_without_paths() -> None:
    tables = {"data": {"validation": "v.csv"}, "model": {"alphabet": "characters"}}
    plan = TrainingPlan.from_tables("classify", [str(Path("x.csv").absolute())], "out", tables)
    data = TrainingData.read("classify", plan.files, plan.data, kind="symbols", seed=0)
    write_reader(Path(), "symbols", plan.new_model, "classify", data.sequences)
    start = create_base_model(Path(), "symbols", plan.new_model, "classify", longest=9, seed=0)
    found = provenance(plan, data, start)
    assert json.loads(json.dumps(found))["labels"] == ["x", "y"]
    assert str(Path().absolute()) not in json.dumps(found)
    assert found["model"] == {"from": None, "fingerprint": None}


def test_steps_are_described_with_their_threads() -> None:
    lengths = np.full(40, 16)
    settings = resolve_settings(
        TrainingSettings(epochs=2, batch_tokens=64, threads=2),
        lengths,
        from_scratch=True,
        gpu=False,
        bf16=False,
    )
    cpu = torch.device("cpu")
    line = "20 steps (2 epochs) of about 64 tokens, on the CPU with 2 threads"
    assert describe_steps(settings, lengths, cpu) == line
    one = dataclasses.replace(settings, threads=1)
    assert describe_steps(one, lengths, cpu).endswith("on the CPU with 1 thread")
    gpu = dataclasses.replace(settings, threads=None)
    assert describe_steps(gpu, lengths, torch.device("cuda", 1)).endswith("tokens, on cuda:1")

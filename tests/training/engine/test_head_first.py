"""A new head on a pretrained encoder is trained before the encoder is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.checkpoints import read_folder
from bothways.training import TrainingPlan, read_events, train
from bothways.training.engine import head_first
from bothways.training.pipeline import FinishedRun

Train = Callable[..., FinishedRun]

ROWS = [{"text": f"{i} {w} {w}", "label": w} for i, w in enumerate(["cat", "dog"] * 20)]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Fine-tune a tiny model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bothways.training.report.can_draw", lambda: False)  # it takes its time
    Path("x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))

    def make(task: Any, out: str, resume: bool = False, **tables: Any) -> FinishedRun:
        tables["training"] = {"max_steps": 3, "device": "cpu", **tables.get("training", {})}
        plan = TrainingPlan.from_tables(task, ["x.jsonl"], out, tables)
        return train(plan, resume=resume, overwrite=not resume)

    make("mlm", "base", encoder={"d_model": 16, "num_layers": 1})
    return make


def _first_validation(folder: str) -> dict[str, Any]:
    events = read_events(Path(folder) / "metrics.jsonl")
    return dict(next(event for event in events if event["kind"] == "validation"))


def test_the_head_is_trained_before_the_first_step(run: Train) -> None:
    run("classify", "with", model={"from": "base"})
    first = _first_validation("with")
    assert first["step"] == 0
    assert first["metrics"]["accuracy"] == 1.0
    run("classify", "without", model={"from": "base"}, training={"head_first": False})
    assert _first_validation("without")["step"] > 0


def test_the_encoder_does_not_change_while_the_head_learns(
    run: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_folder(Path("base")).weights
    after: dict[str, np.ndarray] = {}
    train_head = head_first.train_head

    def spy(model: Any, *arguments: Any) -> None:
        train_head(model, *arguments)
        assert all(parameter.requires_grad for parameter in model.parameters())
        after.update(model.to_weights())

    monkeypatch.setattr("bothways.training.preparation.train_head", spy)
    run("classify", "out", model={"from": "base"})
    for name, weight in before.items():
        np.testing.assert_array_equal(after[name], weight)


@pytest.mark.parametrize(
    ("task", "tables"),
    [
        ("classify", {"encoder": {"d_model": 16, "num_layers": 1}}),
        ("mlm", {"model": {"from": "base"}}),
        ("classify", {"model": {"from": "base"}, "training": {"frozen": True}}),
    ],
)
def test_other_runs_begin_with_a_step(run: Train, task: str, tables: dict[str, Any]) -> None:
    run(task, "out", **tables)
    assert _first_validation("out")["step"] > 0


def test_a_head_that_the_model_has_goes_on(run: Train) -> None:
    run("classify", "first", model={"from": "base"})
    run("classify", "second", model={"from": "first"})
    assert _first_validation("second")["step"] > 0


def test_a_lengthened_run_does_not_train_the_head_again(
    run: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("classify", "out", model={"from": "base"})
    monkeypatch.setattr(
        "bothways.training.preparation.train_head", lambda *_: pytest.fail("trained again")
    )
    done = run("classify", "out", resume=True, model={"from": "base"}, training={"max_steps": 5})
    assert done.result.steps == 5


def test_the_folder_of_an_overwritten_run_starts_with_its_head(run: Train) -> None:
    for _ in range(2):
        run("classify", "out", model={"from": "base"})
        assert _first_validation("out")["step"] == 0

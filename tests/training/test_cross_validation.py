"""Cross-validation: every row is predicted once, by a model that has not seen it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.errors import ConfigError, DataFileError
from bothways.training import TrainingPlan, train
from bothways.training.data.split import choose_folds
from bothways.training.data.survey import Survey
from bothways.training.pipeline import FinishedRun
from bothways.training.runs.signals import TrainingInterrupted

Train = Callable[..., FinishedRun]

ROWS = [{"text": f"{i} {w}", "label": w} for i, w in enumerate(["cat", "dog", "cow"] * 6)]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Train a tiny model for two steps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bothways.training.report.can_draw", lambda: False)  # it takes its time

    def make(task: Any, rows: list[Any], **tables: Any) -> FinishedRun:
        Path("x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        tables = {"encoder": {"d_model": 16, "num_layers": 1}} | tables
        if "from" in tables.get("model", {}):
            del tables["encoder"]
        settings = {"max_steps": 2, "device": "cpu", "folds": 3} | tables.pop("training", {})
        resume = tables.pop("resume", False)
        tables["training"] = settings
        plan = TrainingPlan.from_tables(task, ["x.jsonl"], "out", tables)
        return train(plan, resume=resume)

    return make


def _survey(keys: np.ndarray, classes: np.ndarray | None) -> Survey:
    return Survey(
        labels=(), counts=np.zeros(0), multilabel=False, classes=classes, keys=keys[:, None],
        longest=1, channels=0,
    )  # fmt: skip


def test_folds_divide_rows_by_group_and_class() -> None:
    keys = np.array([1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], dtype=np.uint64)
    classes = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
    fold = choose_folds(_survey(keys, classes), folds=3, seed=0, name="x")
    assert fold[0] == fold[1]
    assert sorted(np.bincount(fold).tolist()) == [3, 4, 5]  # a pair of rows stays together
    for label in (1, 2):
        assert sorted(fold[classes == label]) == [0, 1, 2]
    with pytest.raises(DataFileError, match=r"11 different .* 12 folds; use --folds 11"):
        choose_folds(_survey(keys, None), folds=12, seed=0, name="x")


def test_all_rows_are_scored(run: Train) -> None:
    done = run("classify", ROWS)
    comparison = done.comparison
    assert comparison is not None
    assert (comparison.rows, comparison.folds) == (18, 3)
    assert [model.name for model in comparison.simple] == ["the most frequent class"]
    assert done.report.read_text().startswith(f"# classify: {comparison.headline}\n")
    assert "18 rows in 3 folds" in comparison.headline
    assert not (Path("out") / "folds").exists()


@pytest.mark.usefixtures("simple_models")
def test_simple_models_learn_the_same_folds(run: Train) -> None:
    comparison = run("classify", ROWS * 2 + [{"text": "a cat", "label": "cat"}]).comparison
    assert comparison is not None
    best, constant = comparison.simple
    assert best.name == "TF-IDF with logistic regression"
    assert best.score > 0.9
    assert constant.score < 0.7


def test_values_are_scored_over_all_folds(run: Train) -> None:
    rows = [{"text": f"{i} {'so ' * (i % 4)}", "value": i % 4} for i in range(18)]
    comparison = run("regress", rows).comparison
    assert comparison is not None
    assert (comparison.metric, comparison.rows) == ("r2", 18)
    (mean,) = comparison.simple
    assert mean.score <= 0


def test_folds_start_from_the_pretrained_model(run: Train) -> None:
    run("mlm", [{"text": row["text"]} for row in ROWS], training={"folds": None})
    Path("out").rename("base")
    comparison = run("classify", ROWS, model={"from": "base"}).comparison
    assert comparison is not None
    assert comparison.rows == 18


@pytest.mark.parametrize(
    ("task", "tables", "message"),
    [
        ("mlm", {}, "folds is for classify and regress, not for mlm"),
        ("classify", {"data": {"validation": ["v.jsonl"]}}, "does not apply with validation files"),
        ("classify", {"training": {"folds": 1}}, "folds"),
    ],
)
def test_contradictions_are_errors(
    run: Train, task: str, tables: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(task, ROWS, **tables)


def test_too_many_folds_are_an_error_before_training(run: Train) -> None:
    with pytest.raises(DataFileError, match="18 different sequences"):
        run("classify", ROWS, training={"folds": 19})
    assert not (Path("out") / "metrics.jsonl").exists()


def test_a_run_that_is_stopped_in_a_fold_is_resumed(
    run: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise TrainingInterrupted("", 2, Path())

    with monkeypatch.context() as patches:
        patches.setattr("bothways.training.cross_validation.fit", stop)
        message = r"stopped in fold 1 of 3; the model in out is"
        with pytest.raises(TrainingInterrupted, match=message):
            run("classify", ROWS)
    comparison = run("classify", ROWS, resume=True).comparison
    assert comparison is not None
    assert comparison.folds == 3

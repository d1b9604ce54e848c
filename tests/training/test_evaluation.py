"""A model is evaluated on files: the metrics of training, and errors for data that does not fit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bothways.errors import ConfigError, DataFileError
from bothways.training import EvaluationPlan, TrainingPlan, evaluate, train
from bothways.training.evaluation import EvaluatedModel
from bothways.training.options.data import RowOptions

SENTENCES = [f"{a} {b} {c}" for a in ("the", "a") for b in ("red", "blue") for c in ("cat", "dog")]

Evaluate = Callable[..., EvaluatedModel]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bothways.training.report.can_draw", lambda: False)  # drawing is slow


def write(name: str, rows: list[Any]) -> str:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


def train_on(task: Any, rows: list[Any], held_out: list[Any], **data: Any) -> dict[str, float]:
    """Train for two steps; return the metrics on the held-out rows, in valid.jsonl."""
    tables: dict[str, Any] = {
        "data": {"validation": [write("valid.jsonl", held_out)], **data},
        "model": {"size": "tiny"},
        "encoder": {"d_model": 16, "num_layers": 1},
        "training": {"max_steps": 2, "device": "cpu"},
    }
    plan = TrainingPlan.from_tables(task, [write("train.jsonl", rows)], "run", tables)
    metrics = train(plan).metrics
    assert metrics is not None
    return dict(metrics)


def evaluated(file: str = "valid.jsonl", *, model: str = "run", **options: Any) -> EvaluatedModel:
    return evaluate(EvaluationPlan(model=model, files=(file,), device="cpu", **options))


ROWS: dict[str, list[dict[str, Any]]] = {
    "mlm": [{"text": s} for s in SENTENCES],
    "classify": [{"text": s, "label": "pq"[i % 2]} for i, s in enumerate(SENTENCES)],
    "tag": [{"tokens": s.split(), "tags": [*"PQP"]} for s in SENTENCES],
    "regress": [{"text": s, "value": i % 3} for i, s in enumerate(SENTENCES)],
    "contrast": [{"anchor": s, "positive": s.upper()} for s in SENTENCES],
}
SCORED = [{"sentence1": s, "sentence2": f"{s} it", "score": i / 7} for i, s in enumerate(SENTENCES)]
SEVERAL = [{"text": s, "label": ["p", "q"][: i % 3]} for i, s in enumerate(SENTENCES)]


@pytest.mark.parametrize(
    ("task", "rows"),
    [*ROWS.items(), ("contrast", SCORED), ("classify", SEVERAL)],
    ids=[*ROWS, "scored pairs", "several labels"],
)
def test_the_metrics_are_those_that_training_reports_for_the_same_rows(
    task: str, rows: list[Any]
) -> None:
    trained = train_on(task, rows, rows[1:7])
    result = evaluated(out="report")
    assert (result.task, result.rows) == (task, 6)
    if task == "regress":
        del trained["loss"]  # in the scale of the training data there, of the rows here
    for name, value in trained.items():
        assert result.metrics[name] == pytest.approx(value, abs=1e-6)
    text = Path("report/report.md").read_text()
    assert "On 6 sequences: valid.jsonl." in text
    assert "slightly optimistic" not in text
    assert "## Training settings" not in text
    assert "bothways.load('run')" in text
    facts = json.loads(Path("report/evaluation.json").read_text())
    assert facts["metrics"] == pytest.approx(dict(result.metrics))
    assert facts["data"][0]["name"] == "valid.jsonl"


def test_a_label_that_the_model_does_not_know_is_named_with_its_row() -> None:
    train_on("classify", ROWS["classify"], ROWS["classify"][:2])
    write("new.jsonl", [ROWS["classify"][0], {"text": "a red cow", "label": "r"}])
    message = (
        r"new\.jsonl, row 2, column 'label': run does not know the label 'r'; it knows 'p', 'q'"
    )
    with pytest.raises(DataFileError, match=message):
        evaluated("new.jsonl")
    write("several.jsonl", SEVERAL)
    with pytest.raises(DataFileError, match="rows have lists of labels, and run predicts one"):
        evaluated("several.jsonl")


def test_data_for_several_labels_must_have_lists() -> None:
    train_on("classify", SEVERAL, SEVERAL[:3])
    with pytest.raises(DataFileError, match="each row has one label, and run predicts any number"):
        evaluated(write("single.jsonl", ROWS["classify"]))
    Path("several.csv").write_text("text,label\na red cat,p;q\na dog,q\n")
    options = RowOptions(label_separator=";", delimiter=",")
    assert evaluated("several.csv", data=options).rows == 2


def test_the_delimiter_that_was_found_is_said() -> None:
    train_on("classify", ROWS["classify"], ROWS["classify"][:3])
    Path("x.csv").write_text("text;label\na red cat;p\na dog;q\n")
    lines: list[str] = []
    evaluate(EvaluationPlan(model="run", files=("x.csv",), device="cpu"), tell=lines.append)
    assert lines[0] == "x.csv: the delimiter is ';'"


def test_as_many_columns_of_numbers_are_needed_as_the_model_predicts() -> None:
    rows = [{"text": s, "x": i, "z": -i} for i, s in enumerate(SENTENCES)]
    train_on("regress", rows, rows[:3], labels=["x", "z"])
    with pytest.raises(DataFileError, match="1 columns of numbers, and run predicts 2: x, z; name"):
        evaluated(data=RowOptions(labels=("x",)))
    assert "mae of z" in evaluated(data=RowOptions(labels=("x", "z"))).metrics


def test_the_task_is_that_of_the_head() -> None:
    train_on("classify", ROWS["classify"], ROWS["classify"][:2])
    with pytest.raises(ConfigError, match="run: has no head for tag: its heads are for classify;"):
        evaluated(task="tag")
    pairs = write("pairs.jsonl", ROWS["contrast"])
    assert "mrr" in evaluated(pairs, task="contrast").metrics
    with pytest.raises(ConfigError, match="loss is for contrast, not for tag"):
        evaluated(task="tag", loss="cosine")


def test_training_data_is_noticed() -> None:
    train_on("classify", ROWS["classify"], ROWS["classify"][:2])
    with pytest.warns(UserWarning, match=r"train\.jsonl: is training data of this model"):
        evaluated("train.jsonl")


def test_a_report_replaces_only_a_report() -> None:
    train_on("classify", ROWS["classify"], ROWS["classify"][:2])
    evaluated(out="report")
    with pytest.raises(DataFileError, match="report: exists and is not empty; replace its report"):
        evaluated(out="report")
    evaluated(out="report", overwrite=True)
    with pytest.raises(DataFileError, match=r"run/.*: is no part of a report"):
        evaluated(out="run", overwrite=True)
    assert Path("run/checkpoints").is_dir()

"""Long texts that are read in windows, in training, evaluation and prediction alike."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways.errors import ConfigError, DataFileError, TruncationWarning
from bothways.files.rows import Place
from bothways.sequences import Tokenized, fit_to_length
from bothways.training import EvaluationPlan, TrainingPlan, evaluate, train
from bothways.training.data.examples import ExampleWriter
from bothways.training.data.windows import merge_windows, whole_values
from bothways.training.options.data import RowOptions
from bothways.training.pipeline import FinishedRun

Train = Callable[..., FinishedRun]

WORDS = ["red", "blue", "old", "new", "big", "odd"]
TEXTS = [" ".join(np.random.default_rng(i).choice(WORDS, 3 + 4 * (i % 5))) for i in range(20)]
ROWS = [
    {"text": f"{text} {('cat', 'dog')[i % 2]}", "label": "pq"[i % 2], "value": i % 3}
    for i, text in enumerate(TEXTS)
]
WINDOW: dict[str, Any] = {"on_overflow": "window"}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Train a tiny model of 8 positions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bothways.training.report.can_draw", lambda: False)  # it takes its time
    lines = [json.dumps(row) + "\n" for row in ROWS]
    Path("x.jsonl").write_text("".join(lines))
    Path("new.jsonl").write_text("".join(lines[::-1]))

    def make(task: Any, out: str = "out", **given: Any) -> FinishedRun:
        column = {"regress": ["value"], "classify": ["label"]}.get(task, [])
        tables: dict[str, Any] = {
            "encoder": {"d_model": 16, "num_layers": 1},
            "model": {"max_length": 8},
            **given,
        }
        if "from" in tables["model"]:
            del tables["encoder"]
        tables["data"] = {"columns": ["text"], "labels": column} | WINDOW | given.get("data", {})
        tables["training"] = {"max_steps": 3, "device": "cpu", **given.get("training", {})}
        return train(TrainingPlan.from_tables(task, ["x.jsonl"], out, tables))

    return make


@pytest.mark.parametrize("head_pooling", ["mean", "max"])
def test_training_evaluation_and_prediction_merge_windows_alike(
    run: Train, head_pooling: str
) -> None:
    settings = {"max_steps": 20, "learning_rate": 0.01}
    done = run("regress", objective={"head_pooling": head_pooling}, training=settings)
    assert "were cut" not in done.report.read_text()
    options = RowOptions(columns=("text",), labels=("value",), on_overflow="window")
    metrics = evaluate(EvaluationPlan(model="out", files=("new.jsonl",), data=options)).metrics
    encoder = bothways.load("out", backend="torch")
    texts = [row["text"] for row in ROWS]
    values = np.array([row["value"] for row in ROWS])
    error = np.abs(np.ravel(encoder.predict(texts, on_overflow="window")) - values).mean()
    assert metrics["mae"] == pytest.approx(error, rel=1e-5)
    with pytest.warns(TruncationWarning):
        cut = np.ravel(encoder.predict(texts))
    assert metrics["mae"] != pytest.approx(np.abs(cut - values).mean(), rel=1e-4)


def test_a_head_alone_is_trained_on_whole_texts(run: Train) -> None:
    run("classify", "base")
    frozen = {"training": {"frozen": True, "max_steps": 40}, "model": {"from": "base"}}
    done = run("classify", **frozen)
    options = RowOptions(columns=("text",), labels=("label",), on_overflow="window")
    result = evaluate(EvaluationPlan(model="out", files=("new.jsonl",), data=options))
    labels = bothways.load("out", backend="torch").classify(
        [row["text"] for row in ROWS], on_overflow="window"
    )
    correct = [a == row["label"] for a, row in zip(labels.labels, ROWS, strict=True)]
    assert result.metrics["accuracy"] == pytest.approx(np.mean(correct))
    assert done.metrics is not None


@pytest.mark.usefixtures("simple_models")
def test_folds_and_simple_models_read_whole_sequences(run: Train) -> None:
    comparison = run(
        "classify", model={"max_length": 8, "alphabet": "words"}, training={"folds": 2}
    ).comparison
    assert comparison is not None
    assert comparison.rows == 20


def test_windows_are_joined_to_whole_sequences() -> None:
    tokenized = Tokenized(np.arange(20), lambda: pytest.fail("not described"), 1, 1)
    fitted = fit_to_length(tokenized, 8, "window")
    writer = ExampleWriter("none", ["x"], prefix=1, suffix=1)
    for length in (0, 20, 0):
        windows = fitted.windows if length else [np.arange(5)]
        writer.add(windows, None, None, Place("x", length), length)
    examples = writer.finish().select(np.array([1, 0]))
    assert whole_values(examples[0]).tolist() == list(range(20))
    assert whole_values(examples[1]).tolist() == list(range(5))
    assert examples.to_dataset().lengths.tolist() == [8 * len(fitted.windows), 5]
    merge = merge_windows(examples[:2])
    assert merge is not None
    assert merge.lengths.tolist() == [20, 5]
    np.testing.assert_allclose(np.bincount(merge.index, merge.shares), 1, rtol=1e-6)
    assert merge_windows(examples[1:]) is None


def test_only_whole_sequences_have_windows(run: Train) -> None:
    with pytest.raises(ConfigError, match="on_overflow is for classify and regress, not for tag"):
        run("tag")


def test_pairs_have_no_windows(run: Train) -> None:
    pairs = [{"a": text, "b": text, "label": i % 2} for i, text in enumerate(TEXTS)]
    Path("x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs))
    with pytest.raises(DataFileError, match=r"x\.jsonl, row \d.* cannot be split into windows"):
        run("classify", data={"columns": ["a", "b"], "labels": ["label"]})

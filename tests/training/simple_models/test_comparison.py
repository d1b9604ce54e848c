"""Runs that compare the trained model with simple ones."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways.training import TrainingPlan, train
from bothways.training.pipeline import FinishedRun
from bothways.training.simple_models import candidates

Train = Callable[..., FinishedRun]

_OF_SERIES = candidates.of_series


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Train a tiny model for two steps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bothways.training.report.can_draw", lambda: False)  # it takes its time
    monkeypatch.setattr(candidates, "_TREES", 5)

    def make(task: Any, rows: list[Any], out: str = "out", **given: Any) -> FinishedRun:
        Path("x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        tables: dict[str, Any] = {
            "encoder": {"d_model": 16, "num_layers": 1},
            "data": {"held_out": 0.4},
            **given,
        }
        if "from" in tables.get("model", {}):
            del tables["encoder"]
        tables["training"] = {"max_steps": 2, "device": "cpu"} | tables.get("training", {})
        return train(TrainingPlan.from_tables(task, ["x.jsonl"], out, tables))

    return make


WORDS = ["cat", "dog"]
TEXTS = [{"text": f"{i} {WORDS[i % 2]}", "label": WORDS[i % 2]} for i in range(40)]


@pytest.mark.usefixtures("simple_models")
def test_a_report_says_when_the_simple_model_is_better(run: Train) -> None:
    done = run("classify", TEXTS, training={"linear_term": False})
    comparison = done.comparison
    assert comparison is not None
    best, constant = comparison.simple
    assert best.name == "TF-IDF with logistic regression"
    assert best.score == 1.0
    assert best.difference.outcome == "worse"
    assert constant.name == "the most frequent class"
    assert comparison.rows == 16
    report = done.report.read_text()
    assert report.startswith(f"# classify: accuracy {comparison.score:.3f} (95 % interval ")
    assert "16 held-out rows)" in report.splitlines()[0]
    assert "The simple model is better than the trained one" in report.splitlines()[2]
    assert "16 rows are few" in report
    assert "## Comparison with simple models" in report
    facts = json.loads(json.dumps(comparison.to_dict()))
    assert facts["rows"] == 16
    assert facts["verdict"] == comparison.verdict


@pytest.mark.usefixtures("simple_models")
@pytest.mark.parametrize(
    ("task", "rows", "name"),
    [
        ("classify", [{"x": [*"ab", w], "y": w} for w in "cd" * 20], "one-hot"),
        ("classify", [{"x": [[1.0], [1.0], [i % 2]], "y": i % 2} for i in range(40)], "with"),
        ("classify", [{"text": w, "label": [w, "q"][: 1 + i % 2]} for i, w in
                      enumerate(WORDS * 20)], "TF-IDF"),
        ("regress", [{"text": "no " * (i % 5) + f"yes {i}", "value": i % 5} for i in range(40)],
         "ridge"),
        ("tag", [{"tokens": [w, "it"], "tags": [w, "O"]} for w in ["cat", "dog"] * 20],
         "each word's most frequent tag"),
    ],
)  # fmt: skip
def test_every_task_has_a_simple_model(run: Train, task: str, rows: list[Any], name: str) -> None:
    texts = [{**row, "id": i} for i, row in enumerate(rows)]
    comparison = run(task, texts, data={"held_out": 0.4, "split_by": "id"}).comparison
    assert comparison is not None
    assert name in comparison.simple[0].name
    assert comparison.simple[0].score > 0.6
    assert comparison.missing is None


@pytest.mark.usefixtures("simple_models")
def test_a_linear_probe_is_fitted_beside_fine_tuning(run: Train) -> None:
    run("mlm", [{"text": row["text"]} for row in TEXTS], out="base")
    comparison = run("classify", TEXTS, model={"from": "base"}).comparison
    assert comparison is not None
    names = {model.name for model in comparison.simple}
    assert "frozen vectors with logistic regression" in names
    frozen = run("classify", TEXTS, "o", model={"from": "base"}, training={"frozen": True})
    assert frozen.comparison is not None
    assert len(frozen.comparison.simple) == 2


@pytest.mark.usefixtures("simple_models")
def test_simple_models_get_the_values_of_series_that_a_stem_reads(
    run: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long series have a stem, and their simple models features of their own."""
    given: list[np.ndarray] = []

    def of_series(form: Any, series: list[np.ndarray]) -> list[Any]:
        given.extend(series)
        return list(_OF_SERIES(form, series))

    monkeypatch.setattr(candidates, "of_series", of_series)
    waves = [np.sin((1 + i % 2) * np.arange(60 + i))[:, None] for i in range(16)]
    rows = [{"x": wave.tolist(), "y": "ab"[i % 2]} for i, wave in enumerate(waves)]
    done = run("classify", rows)
    encoder = bothways.load(done.folder)
    assert encoder.config.num_channels > 256
    assert encoder.classify([waves[0]]).names == ("a", "b")
    assert sorted(each.shape for each in given) == sorted(wave.shape for wave in waves)


def test_a_report_without_scikit_learn_says_how_to_add_it(run: Train) -> None:
    done = run("classify", TEXTS)
    assert done.comparison is not None
    assert [model.name for model in done.comparison.simple] == ["the most frequent class"]
    assert "needs scikit-learn: pip install" in done.report.read_text()


@pytest.mark.usefixtures("simple_models")
def test_simple_models_can_be_left_out(run: Train) -> None:
    done = run("classify", TEXTS, training={"simple_models": False})
    assert done.comparison is not None
    assert done.comparison.simple == ()
    assert "simple model" not in done.report.read_text()


@pytest.mark.usefixtures("simple_models")
def test_pairs_and_masked_tokens_are_not_compared(run: Train) -> None:
    assert run("mlm", [{"text": row["text"]} for row in TEXTS]).comparison is None


def test_fewer_than_a_hundred_rows_are_pointed_out(run: Train) -> None:
    rows = [{"text": f"{i} {w}", "label": w} for i, w in enumerate(WORDS * 150)]
    assert "are few" not in run("classify", rows).report.read_text()

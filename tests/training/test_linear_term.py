"""Trained models with a linear term, which predict the same everywhere, and models without."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways.checkpoints import read_folder
from bothways.checkpoints.export import export
from bothways.errors import ConfigError
from bothways.model.heads import Head
from bothways.model.linear_terms import NgramTerm, SeriesTerm
from bothways.training import EvaluationPlan, TrainingPlan, evaluate, preparation, train
from bothways.training.linear_term import choosing
from bothways.training.linear_term.fitting import fit_term
from bothways.training.objectives.linear_term import FittedTerm
from bothways.training.options.data import RowOptions
from bothways.training.pipeline import FinishedRun

COLUMNS = RowOptions(columns=("x",), labels=("y",))

Train = Callable[..., FinishedRun]


def sequence(rng: random.Random) -> str:
    return "".join(rng.choices("abcd", k=rng.randint(6, 12)))


def rows(number: int, label: Callable[[str], Any], seed: int = 0) -> list[dict[str, Any]]:
    rng = random.Random(seed)  # noqa: S311
    texts = list(dict.fromkeys(sequence(rng) for _ in range(number)))
    return [{"x": text, "y": label(text)} for text in texts]


def write(name: str, content: list[Any]) -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in content))


def has_pair(text: str) -> str:
    return "yes" if "ab" in text else "no"


def number_of_pairs(text: str) -> float:
    return 10 + 3.0 * text.count("ab")


def letters(text: str) -> list[str]:
    return [letter for letter in "ab" if letter * 2 in text]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Train for two steps, in which the encoder learns next to nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bothways.training.report.can_draw", lambda: False)  # it takes its time

    def make(task: Any, content: list[Any], *, resume: bool = False, **tables: Any) -> FinishedRun:
        write("x.jsonl", content)
        defaults: dict[str, Any] = {
            "data": {"columns": ["x"], "labels": ["y"]},
            "model": {"alphabet": "characters", "size": "tiny"},
            "encoder": {"d_model": 16, "num_layers": 1},
            "training": {"max_steps": 2, "simple_models": False},
        }
        merged = {}
        for name in defaults | tables:
            options = defaults.get(name, {}) | tables.get(name, {})
            merged[name] = {key: value for key, value in options.items() if value is not None}
        return train(TrainingPlan.from_tables(task, ["x.jsonl"], "out", merged), resume=resume)

    return make


def head_of(finished: FinishedRun) -> Head:
    (head,) = read_folder(finished.folder).spec.heads
    return head


@pytest.mark.parametrize(
    ("task", "label", "metric", "least"),
    [
        ("classify", has_pair, "accuracy", 0.9),
        ("classify", letters, "micro_f1", 0.8),
        ("regress", number_of_pairs, "r2", 0.8),
    ],
)
def test_what_ngrams_say_is_learned_in_two_steps(
    run: Train, task: str, label: Callable[[str], Any], metric: str, least: float
) -> None:
    finished = run(task, rows(300, label))
    assert finished.metrics is not None
    assert finished.metrics[metric] > least
    term = head_of(finished).linear_term
    assert isinstance(term, NgramTerm)
    assert term.features == "counts"


def test_a_handful_of_rows_has_none(run: Train) -> None:
    content = [{"x": text, "y": text[0]} for text in ("ab", "ac", "bc", "ba")]
    assert head_of(run("classify", content)).linear_term is None


def test_weights_that_are_not_finite_are_left_out(
    run: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit_nan(*given: Any) -> FittedTerm:
        fitted = fit_term(*given)
        return fitted.scaled(term=float("nan"), layers=0.0)

    monkeypatch.setattr(choosing, "fit_term", fit_nan)
    assert head_of(run("classify", rows(40, has_pair))).linear_term is None


def test_it_can_be_left_out(run: Train) -> None:
    finished = run("classify", rows(300, has_pair), training={"linear_term": False})
    assert head_of(finished).linear_term is None
    assert finished.metrics is not None
    assert finished.metrics["accuracy"] < 0.9


def test_many_rows_have_none(run: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "MAX_ROWS", 100)
    content = rows(300, has_pair)
    assert head_of(run("classify", content)).linear_term is None
    shutil.rmtree("out")
    assert head_of(run("classify", content, training={"linear_term": True})).linear_term is not None


@pytest.mark.parametrize("stem", [False, True])
def test_what_statistics_of_series_say_is_learned_in_two_steps(run: Train, stem: bool) -> None:
    rng = np.random.default_rng(0)
    levels = rng.random(120)
    series = [level + 0.1 * rng.standard_normal((60, 1)) for level in levels]
    content = [
        {"x": each.round(4).tolist(), "y": "high" if level > 0.5 else "low"}
        for each, level in zip(series, levels, strict=True)
    ]
    model = {"alphabet": None, "series_stem": stem}
    finished = run("classify", content, model=model)
    assert isinstance(head_of(finished).linear_term, SeriesTerm)
    results = bothways.load(finished.folder).classify(series)
    assert np.mean(np.array(results.labels) == [row["y"] for row in content]) > 0.9


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        ({"objective": {"class_weights": "balanced"}}, "rare classes have more weight"),
        ({"data": {"held_out": 0}}, "no rows are held out"),
    ],
)
def test_asking_for_one_that_cannot_be_is_an_error(
    run: Train, tables: dict[str, Any], reason: str
) -> None:
    run("classify", rows(40, has_pair), **tables)
    shutil.rmtree("out")
    tables["training"] = {"linear_term": True}
    with pytest.raises(ConfigError, match=reason):
        run("classify", rows(40, has_pair), **tables)


@pytest.mark.parametrize(
    ("task", "label"),
    [("classify", has_pair), ("classify", letters), ("regress", number_of_pairs)],
)
def test_evaluation_has_the_predictions_of_the_folder(
    run: Train, task: Any, label: Callable[[str], Any]
) -> None:
    finished = run(task, rows(200, label))
    content = rows(100, label, seed=1)
    write("new.jsonl", content)
    metrics = evaluate(EvaluationPlan(model="out", files=("new.jsonl",), data=COLUMNS)).metrics
    encoder = bothways.load(finished.folder)
    texts, labels = [row["x"] for row in content], [row["y"] for row in content]
    if task == "regress":
        error = encoder.predict(texts).ravel() - np.array(labels)
        assert metrics["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-4)
    else:
        predicted = encoder.classify(texts).labels
        assert metrics["accuracy"] == pytest.approx(np.mean([*map(_equal, predicted, labels)]))


def _equal(first: Any, second: Any) -> bool:
    return bool(first == second)


def test_rows_of_a_validation_file_stay_apart(run: Train) -> None:
    content = rows(300, number_of_pairs)
    write("valid.jsonl", content[200:])
    finished = run("regress", content[:200], data={"validation": ["valid.jsonl"]})
    assert finished.metrics is not None
    metrics = evaluate(EvaluationPlan(model="out", files=("valid.jsonl",), data=COLUMNS)).metrics
    assert metrics["r2"] == pytest.approx(finished.metrics["r2"], abs=1e-4)


def test_a_run_that_is_resumed_ends_alike(run: Train) -> None:
    content = rows(200, has_pair)
    first = run("classify", content)
    weights = read_folder(first.folder).all_weights
    again = run("classify", content, resume=True)
    assert again.metrics == first.metrics
    resumed = read_folder(again.folder).all_weights
    assert all(np.array_equal(weights[name], resumed[name]) for name in weights)


def test_fine_tuning_fits_a_term_of_its_own(run: Train) -> None:
    run("classify", rows(200, has_pair))
    Path("out").rename("first")
    content = rows(200, lambda text: "yes" if "cd" in text else "no")
    model = {"from": "first", "alphabet": None, "size": None}
    finished = run("classify", content, model=model, encoder={"d_model": None, "num_layers": None})
    predicted = bothways.load(finished.folder).classify(["aacdaa", "aabaab"]).labels
    assert list(predicted) == ["yes", "no"]


def test_folds_have_terms(run: Train) -> None:
    finished = run("classify", rows(120, has_pair), training={"folds": 2})
    assert finished.comparison is not None
    assert finished.comparison.score > 0.8


@pytest.mark.parametrize("to", ["transformers", "onnx"])
def test_other_formats_leave_it_out_and_say_so(run: Train, to: Any, tmp_path: Path) -> None:
    finished = run("classify", rows(200, has_pair), model={"architecture": "classic"})
    left_out = export(read_folder(finished.folder), tmp_path / "exported", to)
    assert any("linear term of the head for classes" in sentence for sentence in left_out)


def test_a_prediction_does_not_depend_on_other_sequences(run: Train) -> None:
    encoder = bothways.load(run("classify", rows(200, has_pair)).folder)
    texts = ["abab", "cd", "dcba" * 3]
    together = encoder.classify(texts).probabilities
    for text, expected in zip(texts, together, strict=True):
        assert np.array_equal(encoder.classify([text]).probabilities[0], expected)


def test_windows_have_the_term_of_the_whole_sequence(run: Train) -> None:
    content = [{"x": f"{'ab' * (i % 9)}{'ba' * 9}", "y": float(i % 9)} for i in range(90)]
    content = [row | {"x": f"{row['x']}{i:b}"} for i, row in enumerate(content)]
    run(
        "regress",
        content,
        data={"on_overflow": "window"},
        model={"max_length": 16},
    )
    encoder = bothways.load("out")
    values = encoder.predict([row["x"] for row in content], on_overflow="window").ravel()
    assert np.corrcoef(values, [row["y"] for row in content])[0, 1] > 0.95

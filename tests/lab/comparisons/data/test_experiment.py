import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.errors import ConfigError, DataFileError
from bothways.lab.comparisons.data.experiment import (
    DataResult,
    EncoderScores,
    SimpleScore,
    TrainingBudget,
    run_data,
)
from bothways.lab.comparisons.data.report import COMPARISON, data_sections
from bothways.lab.comparisons.data.settings import DataSettings
from bothways.lab.parameter_counts import ParameterCounts
from bothways.lab.report.content import ComparisonReport
from bothways.lab.report.writer import write_report
from bothways.training.data.dataset import Dataset
from bothways.training.resolved_settings import resolve_settings
from bothways.training.settings import TrainingSettings
from bothways.training.simple_models.scores import ScoreDifference

WORDS = ("red", "blue", "old", "new", "big", "odd")
QUICK: dict[str, Any] = {"encoders": ("bag", "lstm"), "train_tokens": 300, "seeds": (0, 1)}


@pytest.fixture(autouse=True)
def without_simple_models(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit no simple models, which take longer than tiny encoders, but in tests of them."""
    if "simple_models" not in request.fixturenames:
        monkeypatch.setattr("bothways.training.simple_models.comparison.can_fit", lambda: False)


@pytest.fixture
def simple_models() -> None:
    """Fit simple models, as bothways does where scikit-learn is installed."""


def rows_file(folder: Path, *, names: tuple[str, str] = ("yes", "no"), count: int = 60) -> str:
    """Rows whose label depends on the order of two words."""
    rng = np.random.default_rng(0)
    lines = []
    for i in range(count):
        first, second = rng.choice(WORDS, 2, replace=False)
        lines.append({"text": f"{first} {second} {i}", "label": names[int(first > second)]})
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def run(file: str, **changes: Any) -> DataResult:
    return run_data(DataSettings(file=file, **QUICK | changes), lambda activity, fraction: None)


def test_encoders_are_trained_on_the_same_rows_and_budget(tmp_path: Path) -> None:
    calls: list[tuple[str, float]] = []
    settings = DataSettings(file=rows_file(tmp_path), learning_rates=(1e-3, 1e-2), **QUICK)
    result = run_data(settings, lambda activity, fraction: calls.append((activity, fraction)))
    assert list(result.encoders) == ["lstm", "bag"]  # in a fixed order
    assert sum(result.rows) == 60
    assert result.rows[1] == result.rows[2] == 6
    assert result.label_names == ("no", "yes")
    assert result.metric == "accuracy"
    assert result.baseline_score is not None
    assert 0 < result.baseline_score < 1
    assert result.tokens == pytest.approx(300, rel=0.5)
    sizes = [encoder.parameters.encoder for encoder in result.encoders.values()]
    assert max(sizes) < 1.1 * min(sizes)  # each is within 5 % of the Transformer
    for encoder in result.encoders.values():
        assert set(encoder.validation_scores) == {1e-3, 1e-2}
        assert encoder.learning_rate in encoder.validation_scores
        assert len(encoder.scores) == len(encoder.seconds) == len(encoder.tokens_per_second) == 2
        assert all(0 <= score <= 1 for score in encoder.scores)
        assert encoder.finished
    fractions = [fraction for _, fraction in calls]
    assert fractions == sorted(fractions)
    assert calls[0][0] == "reading rows.jsonl"
    assert fractions[-1] == pytest.approx(1)
    assert json.loads(json.dumps(result.to_dict()))["encoders"]["bag"]["scores"]


def test_the_same_settings_give_the_same_scores(tmp_path: Path) -> None:
    file = rows_file(tmp_path)
    first, again = (run(file, seeds=(3,), learning_rates=(1e-2,)).encoders for _ in range(2))
    for name, encoder in first.items():
        assert encoder.scores == again[name].scores
        assert encoder.validation_scores == again[name].validation_scores


def test_max_epochs_limits_the_training(tmp_path: Path) -> None:
    result = run(
        rows_file(tmp_path), train_tokens=10**9, max_epochs=1, seeds=(0,), learning_rates=(1e-2,)
    )
    per_epoch = result.tokens
    assert per_epoch < 48 * 20
    assert run(
        rows_file(tmp_path), train_tokens=10**9, max_epochs=2, seeds=(0,), learning_rates=(1e-2,)
    ).tokens == (2 * per_epoch)


def test_batches_are_smaller_if_there_would_be_few_steps() -> None:
    lengths = np.full(4000, 30)
    train = Dataset([], lengths)
    default = resolve_settings(
        TrainingSettings(), lengths, from_scratch=True, gpu=False, bf16=False
    ).batch_tokens
    assert default is not None
    budget = TrainingBudget.of(DataSettings(train_tokens=60_000), train)
    assert budget.settings.batch_tokens == 300 < default
    assert budget.steps == pytest.approx(200, rel=0.1)
    assert TrainingBudget.of(DataSettings(train_tokens=5_000), train).settings.batch_tokens == 256
    assert (
        TrainingBudget.of(DataSettings(train_tokens=10**9), train).settings.batch_tokens == default
    )


@pytest.mark.parametrize("task", ["tag", "regress"])
def test_tags_and_numbers_are_learned(task: Any, tmp_path: Path) -> None:
    rows = [
        {"tokens": ["a", "dog", f"ran{i}"], "tags": ["D", "N", "V"]}
        if task == "tag"
        else {"text": "x " * (1 + i % 5), "target": float(i % 5)}
        for i in range(40)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = run(str(path), task=task, seeds=(0,), learning_rates=(1e-2,))
    assert result.metric == {"tag": "accuracy", "regress": "r2"}[task]
    assert result.baseline_score == (pytest.approx(1 / 3) if task == "tag" else 0)


def test_too_few_rows_raise(tmp_path: Path) -> None:
    with pytest.raises(DataFileError):
        run(rows_file(tmp_path, count=3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoders": ("lstm", "abacus")}, r"encoders\[1\]='abacus': expected transformer"),
        ({"encoders": ()}, r"encoders=\(\): expected one or more distinct"),
        ({"seeds": (1, 1)}, r"seeds=\(1, 1\): expected one or more distinct"),
        ({"task": "mlm"}, "task='mlm': expected classify, tag, regress"),
        ({"train_tokens": 0}, "train_tokens=0: expected at least 1"),
        ({"held_out": 1.0}, r"held_out=1\.0: expected more than 0 and below 1"),
    ],
)
def test_invalid_settings_raise(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DataSettings(**changes)


def scored(*scores: float, converged: bool = True) -> EncoderScores:
    return EncoderScores(
        parameters=ParameterCounts(encoder=1000, head=30),
        layers=2,
        learning_rate=1e-3,
        validation_scores={1e-3: scores[0]},
        scores=scores,
        seconds=(2.0,) * len(scores),
        tokens_per_second=(500.0,) * len(scores),
        finished=True,
        interval=(min(scores) - 0.1, max(scores) + 0.05),
        converged=converged,
    )


def example_result(*equal: str, **encoders: EncoderScores) -> DataResult:
    """A result in which the best model is clearly better than all but those of these names."""
    result = DataResult(
        settings=DataSettings(file="folder/rows.csv", learning_rates=(1e-3,)),
        metric="accuracy",
        baseline_score=0.5,
        rows=(80, 10, 200),
        label_names=("<b>yes</b>", "no"),
        steps=10,
        tokens=1000,
        encoders=encoders,
    )
    return dataclasses.replace(result, differences=_differences(result, equal))


def _differences(result: DataResult, equal: tuple[str, ...]) -> dict[str, ScoreDifference]:
    return {
        name: ScoreDifference(0.2, (0.1, 0.3), "equal" if name in equal else "better")
        for name in result.ranked[1:]
    }


def finding(result: DataResult) -> str:
    return data_sections(result)[0].paragraphs[0]


def test_the_finding_names_a_best_encoder_with_rows_and_interval() -> None:
    text = finding(
        example_result(transformer=scored(0.7, 0.72, 0.71), lstm=scored(0.9, 0.92, 0.91))
    )
    assert text == (
        "On rows.csv, lstm is the best: 91.0 % (95 % interval 80.0 % to 97.0 %; 200 test rows, 3 "
        "seeds). The others are worse by more than chance explains. A constant prediction scores "
        "50.0 %."
    )


def test_the_finding_names_no_winner_among_equals() -> None:
    close, far = scored(0.7, 0.92, 0.8), scored(0.1, 0.2, 0.3)
    text = finding(
        example_result("transformer", transformer=close, bag=far, lstm=scored(0.9, 0.92, 0.91))
    )
    assert "no model is clearly the best: the highest score is that of lstm" in text
    assert "and transformer may be as good. Worse by more than chance explains: bag." in text


def test_the_finding_names_a_simple_model_that_is_as_good() -> None:
    result = example_result(lstm=scored(0.9, 0.92, 0.91))
    result = dataclasses.replace(result, simple={"TF-IDF": SimpleScore(0.905, (0.8, 0.95))})
    result = dataclasses.replace(result, differences=_differences(result, ("TF-IDF",)))
    assert "A simple model is as good as any encoder: TF-IDF." in finding(result)
    result = dataclasses.replace(result, differences=_differences(result, ()))
    assert "simple model" not in finding(result)


def test_the_finding_says_what_has_not_converged() -> None:
    text = finding(example_result(lstm=scored(0.9), bag=scored(0.1, converged=False)))
    assert "Not trained to convergence: bag; their training loss still fell" in text
    assert "--train-tokens 1500000" in text


def test_the_finding_for_a_single_encoder_is_its_score() -> None:
    alone = dataclasses.replace(example_result(bag=scored(0.7)), baseline_score=None)
    assert finding(alone) == (
        "On rows.csv, bag scores 70.0 % (95 % interval 60.0 % to 75.0 %; 200 test rows, 3 seeds)."
    )


def test_few_rows_and_single_seeds_are_pointed_out() -> None:
    result = dataclasses.replace(example_result(bag=scored(0.7), lstm=scored(0.8)), rows=(9, 9, 9))
    settings = dataclasses.replace(result.settings, seeds=(0,))
    text = finding(dataclasses.replace(result, settings=settings))
    assert "9 test rows are few" in text
    assert "With one seed" in text


@pytest.mark.usefixtures("simple_models")
def test_simple_models_are_compared_on_the_test_rows(tmp_path: Path) -> None:
    result = run(rows_file(tmp_path), seeds=(0,), learning_rates=(1e-2,))
    assert list(result.simple) == ["TF-IDF with logistic regression"]
    assert set(result.ranked) == {"lstm", "bag", *result.simple}
    assert set(result.differences) == set(result.ranked[1:])
    assert json.loads(json.dumps(result.to_dict()))["simple"]


def test_the_report_counts_encoder_and_head_parameters_separately() -> None:
    scores, method = data_sections(example_result(lstm=scored(0.5), bag=scored(0.4)))
    table, _ = scores.tables
    assert table.columns[2:4] == ("encoder parameters", "head parameters")
    assert [row[2:4] for row in table.rows] == [(1000, 30), (1000, 30)]
    assert "Encoders have equally many parameters, within 5 %" in method.paragraphs[0]


def test_texts_of_the_data_are_escaped_in_the_report(tmp_path: Path) -> None:
    result = example_result(transformer=scored(0.7, 0.8, 0.9), bag=scored(0.6, 0.6, 0.7))
    sections = tuple(data_sections(result))
    page = write_report(
        tmp_path / "r",
        ComparisonReport(COMPARISON.title, "bothways", {}, sections, result.to_dict()),
    )
    text = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;yes&lt;/b&gt;" in text
    assert "<b>yes" not in text
    assert {path.name for path in page.parent.iterdir()} == {
        "report.html",
        "raw.json",
        "data-scores.png",
        "data-time.png",
    }

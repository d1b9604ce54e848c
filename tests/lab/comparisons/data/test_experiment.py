import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.errors import ConfigError, DataFileError
from bothways.lab.comparisons.data.experiment import DataResult, DataSettings, Found, Plan, run_data
from bothways.lab.comparisons.data.report import COMPARISON, data_sections
from bothways.lab.report.page import Report, write_report
from bothways.training.data.dataset import Dataset
from bothways.training.resolved_settings import resolve_settings
from bothways.training.settings import TrainingSettings

WORDS = ("red", "blue", "old", "new", "big", "odd")
QUICK: dict[str, Any] = {"encoders": ("bag", "lstm"), "tokens": 300, "seeds": (0, 1)}


def rows_file(folder: Path, *, names: tuple[str, str] = ("yes", "no"), count: int = 60) -> str:
    """Rows whose class is whether one word comes before another."""
    rng = np.random.default_rng(0)
    lines = []
    for i in range(count):
        first, second = rng.choice(WORDS, 2, replace=False)
        lines.append({"text": f"{first} {second} {i}", "label": names[int(first > second)]})
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def ran(file: str, **changes: Any) -> DataResult:
    return run_data(DataSettings(file=file, **QUICK | changes), lambda what, share: None)


def test_encoders_are_trained_on_the_same_rows_and_budget(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    settings = DataSettings(file=rows_file(tmp_path), rates=(1e-3, 1e-2), **QUICK)
    result = run_data(settings, lambda what, share: told.append((what, share)))
    assert list(result.found) == ["lstm", "bag"]  # in one order, however they were asked for
    assert sum(result.rows) == 60
    assert result.rows[1] == result.rows[2] == 6
    assert result.names == ("no", "yes")
    assert result.metric == "accuracy"
    assert result.guess is not None
    assert 0 < result.guess < 1
    assert result.tokens == pytest.approx(300, rel=0.5)
    sizes = [found.weights for found in result.found.values()]
    assert max(sizes) < 1.1 * min(sizes)  # of encoders within 5 %, and heads of their widths
    for found in result.found.values():
        assert set(found.tried) == {1e-3, 1e-2}
        assert found.rate in found.tried
        assert len(found.scores) == len(found.seconds) == len(found.tokens_per_second) == 2
        assert all(0 <= score <= 1 for score in found.scores)
        assert found.finished
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert told[0][0] == "reading rows.jsonl"
    assert shares[-1] == pytest.approx(1)
    assert json.loads(json.dumps(result.to_dict()))["found"]["bag"]["scores"]


def test_the_same_settings_give_the_same_scores(tmp_path: Path) -> None:
    file = rows_file(tmp_path)
    first, again = (ran(file, seeds=(3,), rates=(1e-2,)).found for _ in range(2))
    for name, found in first.items():
        assert (found.scores, found.tried) == (again[name].scores, again[name].tried)


def test_a_row_is_seen_so_often_at_most(tmp_path: Path) -> None:
    result = ran(rows_file(tmp_path), tokens=10**9, epochs=1, seeds=(0,), rates=(1e-2,))
    per_epoch = result.tokens
    assert per_epoch < 48 * 20
    assert ran(rows_file(tmp_path), tokens=10**9, epochs=2, seeds=(0,), rates=(1e-2,)).tokens == (
        2 * per_epoch
    )


def test_steps_are_smaller_where_they_would_be_few() -> None:
    lengths = np.full(4000, 30)
    train = Dataset([], lengths)
    usual = resolve_settings(
        TrainingSettings(), lengths, from_scratch=True, gpu=False, bf16=False
    ).batch_tokens
    assert usual is not None
    plan = Plan.of(DataSettings(tokens=60_000), train)
    assert plan.resolved.batch_tokens == 300 < usual
    assert plan.steps == pytest.approx(200, rel=0.1)
    assert Plan.of(DataSettings(tokens=5_000), train).resolved.batch_tokens == 256
    assert Plan.of(DataSettings(tokens=10**9), train).resolved.batch_tokens == usual


@pytest.mark.parametrize("task", ["tag", "regress"])
def test_tags_and_numbers_are_learned_too(task: Any, tmp_path: Path) -> None:
    rows = [
        {"tokens": ["a", "dog", f"ran{i}"], "tags": ["D", "N", "V"]}
        if task == "tag"
        else {"text": "x " * (1 + i % 5), "target": float(i % 5)}
        for i in range(40)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = ran(str(path), task=task, seeds=(0,), rates=(1e-2,))
    assert result.metric == {"tag": "accuracy", "regress": "r2"}[task]
    assert result.guess == (pytest.approx(1 / 3) if task == "tag" else 0)


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError):
        ran(rows_file(tmp_path, count=3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoders": ("lstm", "abacus")}, "encoder 'abacus': expected one of transformer"),
        ({"encoders": ()}, r"encoders=\(\): expected at least one"),
        ({"seeds": (1, 1)}, r"seeds=\(1, 1\): expected at least one, and none twice"),
        ({"task": "mlm"}, "task='mlm': expected one of classify, tag, regress"),
        ({"tokens": 0}, "tokens=0: expected at least 1"),
        ({"held_out": 1.0}, r"held_out=1\.0: expected a share"),
    ],
)
def test_wrong_settings_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DataSettings(**changes)


def found(*scores: float) -> Found:
    return Found(
        weights=1000,
        layers=2,
        rate=1e-3,
        tried={1e-3: scores[0]},
        scores=scores,
        seconds=(2.0,) * len(scores),
        tokens_per_second=(500.0,) * len(scores),
        finished=True,
    )


def made_up(**encoders: Found) -> DataResult:
    return DataResult(
        settings=DataSettings(file="folder/rows.csv", rates=(1e-3,)),
        metric="accuracy",
        guess=0.5,
        rows=(80, 10, 10),
        names=("<b>yes</b>", "no"),
        steps=10,
        tokens=1000,
        found=encoders,
    )


def finding(result: DataResult) -> str:
    return data_sections(result)[0].paragraphs[0]


def test_the_finding_names_the_best_also_where_it_is_no_transformer() -> None:
    told = finding(made_up(transformer=found(0.7, 0.72, 0.71), lstm=found(0.9, 0.92, 0.91)))
    assert told == (
        "On rows.csv, lstm does best: 91.0 % (90.0 % to 92.0 %). The transformer comes to 71.0 % "
        "(70.0 % to 72.0 %). Guessing comes to 50.0 %."
    )


def test_the_finding_says_what_the_seeds_do_not_tell_apart() -> None:
    close, far = found(0.7, 0.92, 0.8), found(0.1, 0.2, 0.3)
    told = finding(made_up(transformer=close, bag=far, lstm=found(0.9, 0.92, 0.91)))
    assert "The seeds do not tell it apart from transformer. Guessing" in told
    told = finding(made_up(transformer=found(0.9, 0.92, 0.91), bag=far, lstm=close))
    assert "transformer does best" in told
    assert "apart from lstm. Next is lstm: 80.0 %" in told


def test_the_finding_of_one_encoder_is_its_score() -> None:
    alone = dataclasses.replace(made_up(bag=found(0.7)), guess=None)
    assert finding(alone) == "On rows.csv, bag does best: 70.0 %."


def test_texts_of_the_data_are_escaped_in_the_report(tmp_path: Path) -> None:
    result = made_up(transformer=found(0.7, 0.8, 0.9), bag=found(0.6, 0.6, 0.7))
    sections = tuple(data_sections(result))
    page = write_report(
        tmp_path / "r", Report(COMPARISON.title, "bothways", {}, sections, result.to_dict())
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

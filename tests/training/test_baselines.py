"""Encoders that are no Transformers, trained by every objective, and the folders they leave."""

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import bothways
from bothways.errors import CheckpointError, ConfigError, MissingExtra
from bothways.model.baselines import BASELINES, BaselineConfig, BaselineName
from bothways.model.baselines.any_encoder import EncoderName
from bothways.training.pipeline import train
from bothways.training.plan import TrainingPlan
from bothways.training.runs.signals import TrainingInterrupted

SENTENCES = [f"{a} {b} {c}" for a in ("the", "a") for b in ("red", "blue") for c in ("cat", "dog")]
SERIES = [[[0.5 * i, float(j)] for j in range(3 + i % 2)] for i in range(8)]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bothways.training.report.can_draw", lambda: False)  # it takes its time


def plan(task: Any, rows: list[dict[str, Any]], encoder: str, **tables: Any) -> TrainingPlan:
    Path("x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given: dict[str, Any] = {
        "model": {"size": "tiny", "encoder": encoder},
        "encoder": {"d_model": 16, "num_layers": 1},
        "training": {"max_steps": 2},
    }
    for name, table in tables.items():
        given[name] = given.get(name, {}) | table
    return TrainingPlan.from_tables(task, ["x.jsonl"], "out", given)


def rows_for(task: str, sequences: list[Any]) -> list[dict[str, Any]]:
    labels: dict[str, list[Any]] = {
        "classify": [*"pq"] * 4,
        "regress": [i / 7 for i in range(8)],
        "tag": [[*"PQP"]] * 8,
    }
    if task == "contrast":
        return [{"anchor": s, "positive": s.upper()} for s in sequences]
    names = {"classify": "label", "regress": "target", "tag": "tags"}
    column = "tokens" if task == "tag" else "series" if isinstance(sequences[0], list) else "text"
    return [
        {column: s} | ({names[task]: labels[task][i]} if task in names else {})
        for i, s in enumerate(sequences)
    ]


def test_encoder_choices_are_the_transformer_and_all_baselines() -> None:
    assert get_args(EncoderName) == ("transformer", *BASELINES)


@pytest.mark.parametrize("kind", BASELINES)
def test_every_baseline_learns_classes_and_says_so(kind: BaselineName) -> None:
    lines: list[str] = []
    trained = train(plan("classify", rows_for("classify", SENTENCES), kind), tell=lines.append)
    assert any(line.startswith(f"new {kind} encoder: ") for line in lines)
    encoder = bothways.load(trained.folder)
    assert isinstance(encoder.config, BaselineConfig)
    assert encoder.config.kind == kind
    assert encoder.encode("a red cat").shape == (encoder.config.d_model,)
    assert encoder.classify(["a red cat"]).labels[0] in ("p", "q")


def test_masked_tokens_are_filled() -> None:
    encoder = bothways.load(train(plan("mlm", rows_for("mlm", SENTENCES), "lstm")).folder)
    (filled,) = encoder.fill_mask(f"a {encoder.mask_token} cat", top=2)
    assert len(filled.tokens) == 2


def test_masked_values_of_series_are_learned() -> None:
    trained = train(plan("mlm", rows_for("mlm", SERIES), "gru"))
    assert bothways.load(trained.folder).tasks == ("masked_values",)
    assert np.isfinite(bothways.load(trained.folder).encode([np.ones((4, 2))])).all()


def test_words_are_tagged() -> None:
    rows = rows_for("tag", [sentence.split() for sentence in SENTENCES])
    encoder = bothways.load(train(plan("tag", rows, "convolution")).folder)
    (tagged,) = encoder.tag([["a", "red", "cat"]])
    assert set(tagged.labels) <= {"P", "Q"}


def test_values_of_series_are_predicted() -> None:
    encoder = bothways.load(train(plan("regress", rows_for("regress", SERIES), "rnn")).folder)
    assert np.isfinite(encoder.predict([np.ones((4, 2))])).all()


def test_pairs_are_told_apart() -> None:
    trained = train(plan("contrast", rows_for("contrast", SENTENCES), "bag"))
    vector = bothways.load(trained.folder).encode("a red cat")
    assert np.linalg.norm(vector) == pytest.approx(1)


def test_a_stopped_run_resumes_to_the_same_bits() -> None:
    rows = rows_for("classify", SENTENCES)
    whole = train(plan("classify", rows, "lstm", training={"max_steps": 4})).folder
    expected = (whole / "model.safetensors").read_bytes()
    whole.rename("whole")

    def stop(event: Any) -> None:
        if event.step == 2:
            raise KeyboardInterrupt

    stopped = plan("classify", rows, "lstm", training={"max_steps": 4, "checkpoint_every": 1})
    with pytest.raises((KeyboardInterrupt, TrainingInterrupted)):
        train(stopped, progress=stop)
    train(stopped, resume=True)
    assert Path("out/model.safetensors").read_bytes() == expected


def test_a_run_is_not_resumed_with_another_encoder() -> None:
    rows = rows_for("classify", SENTENCES)
    train(plan("classify", rows, "gru"))
    with pytest.raises(CheckpointError, match=r"model\.encoder was 'gru' and is now 'lstm'"):
        train(plan("classify", rows, "lstm"), resume=True)


def test_a_trained_folder_can_be_fine_tuned() -> None:
    first = train(plan("mlm", rows_for("mlm", SENTENCES), "lstm")).folder.rename("first")
    tables: dict[str, Any] = {"model": {"from": str(first)}, "training": {"max_steps": 1}}
    Path("y.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows_for("classify", SENTENCES))
    )
    lines: list[str] = []
    second = train(
        TrainingPlan.from_tables("classify", ["y.jsonl"], "out", tables), tell=lines.append
    )
    assert any(line.startswith("lstm encoder of first") for line in lines)
    assert bothways.load(second.folder).config == bothways.load(first).config
    tables["encoder"] = {"attention_dropout": 0.1}
    with pytest.raises(ConfigError, match="only dropout can change"):
        train(TrainingPlan.from_tables("classify", ["y.jsonl"], "again", tables))


def test_the_encoder_option_is_refused_when_fine_tuning() -> None:
    with pytest.raises(ConfigError, match="encoder: applies only to a new model; 'minilm'"):
        TrainingPlan.from_tables(
            "mlm", ["x"], "out", {"model": {"from": "minilm", "encoder": "lstm"}}
        )


def test_only_baselines_accept_encoder_layers() -> None:
    asked = plan("classify", rows_for("classify", SENTENCES), "gru", model={"encoder_layers": 3})
    config = bothways.load(train(asked).folder).config
    assert config.num_layers == 3
    with pytest.raises(ConfigError, match=r"\[model\] encoder_layers is for baseline encoders"):
        plan("classify", [], "transformer", model={"encoder_layers": 3})


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[model\] encoder='cnn': expected transformer, rnn"):
        TrainingPlan.from_tables("mlm", ["x"], "out", {"model": {"encoder": "cnn"}})


def test_without_torch_a_folder_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    train(plan("classify", rows_for("classify", SENTENCES), "lstm"))
    monkeypatch.setattr("bothways.inference.backends.importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"\[torch\]"):
        bothways.load("out")

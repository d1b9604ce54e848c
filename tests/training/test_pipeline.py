"""From files to a trained folder with a report, for each task and each kind of sequence."""

import json
import math
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways.errors import (
    BackendError,
    CheckpointError,
    ConfigError,
    DataFileError,
    TruncationWarning,
)
from bothways.training.pipeline import FinishedRun, train
from bothways.training.plan import TrainingPlan

TrainingRun = Callable[..., FinishedRun]

SENTENCES = [f"{a} {b} {c}" for a in ("the", "a") for b in ("red", "blue") for c in ("cat", "dog")]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingRun:
    """Make a run of a few steps on rows of JSON, or on a text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bothways.training.report.can_draw", lambda: False)  # it takes its time

    def make(
        task: Any, content: list[Any] | str, name: str = "x.jsonl", **options: Any
    ) -> FinishedRun:
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content)
        Path(name).write_text(content)
        tables: dict[str, Any] = {
            "model": {"size": "tiny"},
            "encoder": {"d_model": 16, "num_layers": 1},
            "training": {"max_steps": 2},
        }
        if "from" in options.get("model", {}):
            tables["model"], tables["encoder"] = {}, {}
        for table in ("data", "model", "encoder", "objective", "training"):
            tables[table] = tables.get(table, {}) | options.pop(table, {})
        out = options.pop("out", "out")
        return train(TrainingPlan.from_tables(task, [name], out, tables), **options)

    return make


@pytest.mark.parametrize("task", ["mlm", "classify", "tag", "regress", "contrast"])
@pytest.mark.parametrize("kind", ["text", "symbols", "series"])
def test_every_task_learns_from_every_kind_of_sequence(
    run: TrainingRun, task: str, kind: str
) -> None:
    rows: list[dict[str, Any]] = []
    for i, sentence in enumerate(SENTENCES):
        words = sentence.split()
        sequence: Any = {
            "text": words if task == "tag" else sentence,
            "symbols": words,
            "series": [[0.5 * i, float(j)] for j in range(len(words))],
        }[kind]
        row = {"anchor": sequence, "positive": sequence} if task == "contrast" else {"x": sequence}
        label: Any = {"classify": "pq"[i % 2], "regress": i / 7, "tag": [*"PQP"]}.get(task)
        rows.append(row if label is None else row | {"y": label})
    data: dict[str, Any] = {} if task in ("mlm", "contrast") else {"labels": ["y"]}
    model = {"alphabet": "words"} if kind == "symbols" and task == "tag" else {}
    trained = run(task, rows, data=data, model=model)
    assert trained.metrics is not None
    assert all(math.isfinite(value) for value in trained.metrics.values())
    encoder = bothways.load(trained.folder)
    assert encoder.reader is not None
    assert encoder.reader.kind == kind
    assert np.isfinite(encoder.encode([np.ones((3, 2)) if kind == "series" else "a red cat"])).all()
    assert trained.report.is_file()


def test_several_labels_and_pairs_of_texts(run: TrainingRun) -> None:
    rows = [{"a": s, "b": "why", "y": ["p"] * (i % 2)} for i, s in enumerate(SENTENCES)]
    rows[0]["y"] = ["p", "q"]
    trained = run("classify", rows, data={"columns": ["a", "b"], "labels": ["y"]})
    assert trained.metrics is not None
    assert "micro_f1" in trained.metrics


def test_a_run_can_fine_tune_the_model_of_another_run(run: TrainingRun) -> None:
    first = run("mlm", "\n".join(SENTENCES), "x.txt")
    rows = [{"text": s, "label": "pq"[i % 2]} for i, s in enumerate(SENTENCES)]
    lines: list[str] = []
    second = run(
        "classify", rows, model={"from": str(first.folder)}, out="second", tell=lines.append
    )
    assert (second.folder / "tokenizer.json").read_bytes() == (
        first.folder / "tokenizer.json"
    ).read_bytes()
    assert lines[1].startswith("encoder of out: 1 layers of width 16")
    facts = json.loads((second.folder / "training.json").read_text())["bound"]["about"]
    assert facts["model"]["from"] == "out"
    assert facts["model"]["fingerprint"] == bothways.load("out").fingerprint
    assert facts["data"]["files"][0]["name"] == "x.jsonl"
    assert facts["labels"] == ["p", "q"]


def test_a_head_is_trained_on_the_frozen_encoder_of_another_run(run: TrainingRun) -> None:
    first = run("mlm", "\n".join(SENTENCES), "x.txt")
    rows = [{"text": s, "label": "pq"[i % 2]} for i, s in enumerate(SENTENCES)]
    options: dict[str, Any] = {"model": {"from": str(first.folder)}, "training": {"frozen": True}}
    second = run("classify", rows, out="second", **options)
    assert "the encoder is frozen" in second.report.read_text()
    assert second.metrics is not None
    np.testing.assert_array_equal(
        bothways.load("second").encode(SENTENCES), bothways.load("out").encode(SENTENCES)
    )
    assert run("classify", rows, out="second", resume=True, **options).metrics == second.metrics


def test_without_held_out_data_there_are_no_metrics(run: TrainingRun) -> None:
    trained = run("mlm", "\n".join(SENTENCES), "x.txt", data={"held_out": 0})
    assert trained.metrics is None
    assert bothways.load(trained.folder).dimensions == 16


def test_metrics_come_from_the_validation_files(run: TrainingRun) -> None:
    Path("v.csv").write_text("text;label\na red cat;p\n")
    rows = [{"text": s, "label": "pq"[i % 2]} for i, s in enumerate(SENTENCES)]
    lines: list[str] = []
    trained = run("classify", rows, data={"validation": ["v.csv"]}, tell=lines.append)
    assert lines[0] == "v.csv: the delimiter is ';'"
    assert "8 training rows, 1 validation rows (v.csv)" in lines[1]
    assert "1 validation rows are in the training data too" in lines[1]
    assert "a red cat" in trained.report.read_text() or (trained.metrics or {})["accuracy"] == 1.0


def test_truncated_sequences_are_counted(run: TrainingRun) -> None:
    rows = [{"text": s, "label": "pq"[i % 2]} for i, s in enumerate(SENTENCES)]
    with pytest.warns(TruncationWarning, match="8 sequences are longer than 4 positions and were"):
        done = run("classify", rows, model={"max_length": 4})
    top = done.report.read_text().partition("\n## ")[0]
    assert "100.0 % of the rows (8 of 8) are longer than 4 positions and were cut there" in top
    assert "max-length 2048 reads more of them, and" in top
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run("mlm", "\n".join(SENTENCES), "x.txt", model={"max_length": 4}, out="mlm")


def test_words_without_tokens_are_counted(run: TrainingRun) -> None:
    rows = [{"tokens": s.split(), "tags": [*"PQP"]} for s in SENTENCES]
    rows += [{"tokens": ["\u0000", "a"], "tags": ["P", "Q"]}]
    with pytest.warns(UserWarning, match="1 tagged words have no token in this vocabulary"):
        run("tag", rows)


def test_bad_data_stops_a_run_before_it_begins(run: TrainingRun) -> None:
    rows = [{"text": "a", "label": "p"}, {"text": "b", "label": None}]
    with pytest.raises(
        DataFileError, match=r"x\.jsonl, row 2, column 'label': the label is missing"
    ):
        run("classify", rows)
    assert not Path("out").exists()


def test_a_folder_that_is_not_empty_is_refused(run: TrainingRun) -> None:
    Path("out").mkdir()
    Path("out/mine.txt").write_text("precious")
    with pytest.raises(DataFileError, match="out: exists and is not empty; resume its run"):
        run("mlm", "a\nb\n", "x.txt")
    Path("file").write_text("")
    with pytest.raises(DataFileError, match="file: is a file; expected a folder"):
        run("mlm", "a\nb\n", "x.txt", out="file")


def test_a_finished_run_can_be_resumed_to_no_effect(run: TrainingRun) -> None:
    first = run("mlm", "\n".join(SENTENCES), "x.txt")
    weights = (first.folder / "model.safetensors").read_bytes()
    again = run("mlm", "\n".join(SENTENCES), "x.txt", resume=True)
    assert (again.folder / "model.safetensors").read_bytes() == weights
    assert again.metrics == first.metrics


def test_a_run_is_not_resumed_on_other_data(run: TrainingRun) -> None:
    run("mlm", "\n".join(SENTENCES), "x.txt")
    with pytest.raises(CheckpointError, match=r"training\.json: about\.data\.files was"):
        run("mlm", "\n".join(SENTENCES[1:]), "x.txt", resume=True)


def test_the_same_run_twice_has_the_same_weights(run: TrainingRun) -> None:
    weights = {
        (
            run("mlm", "\n".join(SENTENCES), "x.txt", out=out).folder / "model.safetensors"
        ).read_bytes()
        for out in ("one", "two")
    }
    assert len(weights) == 1


def test_slow_stages_are_reported(run: TrainingRun) -> None:
    stages: list[str] = []

    def stage(name: str) -> AbstractContextManager[Callable[[float | None], None]]:
        stages.append(name)
        return nullcontext(lambda share: None)

    run("mlm", "\n".join(SENTENCES), "x.txt", stage=stage)
    assert stages == ["reading", "building a vocabulary", "tokenizing"]


PAIRS = [
    (sentence, f"{sentence} it" if number % 2 else f"x {number}", number % 2)
    for number, sentence in enumerate(SENTENCES)
]


@pytest.mark.parametrize(
    ("scale", "metric", "message"),
    [
        (1, "average_precision", "labeled pairs: the loss is contrastive, with margin 0.5"),
        (0.5, "spearman", "scored pairs: the loss is (cosine - score)^2"),
        (4.5, "spearman", "(cosine - score)^2, with scores 0 to 4.5 scaled to 0 to 1"),
    ],
)
def test_scores_and_labels_of_pairs_are_learned_not_ignored(
    run: TrainingRun, scale: float, metric: str, message: str
) -> None:
    rows = [{"sentence1": a, "sentence2": b, "score": scale * y} for a, b, y in PAIRS]
    told: list[str] = []
    trained = run("contrast", rows, tell=told.append)
    assert trained.metrics is not None
    assert metric in trained.metrics
    assert any(message in line for line in told)
    assert "## Cosines" in trained.report.read_text()


def test_validation_pairs_have_scores_where_training_pairs_do(run: TrainingRun) -> None:
    rows = [{"sentence1": a, "sentence2": b, "score": y} for a, b, y in PAIRS]
    Path("valid.jsonl").write_text(json.dumps({"sentence1": "a", "sentence2": "b"}) + "\n")
    with pytest.raises(DataFileError, match=r"valid\.jsonl: the training data has column 'score'"):
        run("contrast", rows, data={"validation": ["valid.jsonl"]})


def test_pairs_that_are_all_similar_need_in_batch_negatives(run: TrainingRun) -> None:
    rows = [{"sentence1": a, "sentence2": b, "label": 1} for a, b, _ in PAIRS]
    with pytest.raises(DataFileError, match="column 'label': all pairs have 1, and the loss needs"):
        run("contrast", rows)
    trained = run("contrast", rows, objective={"loss": "in-batch"})
    assert trained.metrics is not None
    assert "mrr" in trained.metrics


def test_every_positive_of_a_list_makes_an_example(run: TrainingRun) -> None:
    rows = [{"query": s, "pos": [f"{s} x", f"y {s}"], "neg": ["z", "w"]} for s in SENTENCES]
    told: list[str] = []
    run("contrast", rows, data={"held_out": 0.25}, tell=told.append)
    assert told[0].startswith("12 training rows, 4 validation rows")


ROWS = [{"x": sentence, "y": "pq"[number % 2]} for number, sentence in enumerate(SENTENCES)]


@pytest.mark.parametrize(
    ("tables", "error"),
    [
        ({"encoder": {"nonsense": 3}}, ConfigError),
        ({"encoder": {"num_heads": 7}}, ConfigError),
        ({"data": {"labels": ["z"]}}, DataFileError),
        ({"training": {"sharding": "sharded"}}, ConfigError),
        ({"training": {"precision": "bf16", "device": "cpu"}}, BackendError),
    ],
)  # fmt: skip
def test_a_run_that_cannot_start_leaves_nothing_behind(
    run: TrainingRun, tables: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        run("classify", ROWS, out="runs/topic", **tables)
    assert sorted(path.name for path in Path().iterdir()) == ["x.jsonl"]
    run("classify", ROWS, out="runs/topic")


def test_a_run_is_overwritten_once_the_new_one_is_known_to_start(run: TrainingRun) -> None:
    run("classify", ROWS)
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    with pytest.raises(DataFileError, match="replace it with --overwrite"):
        run("classify", ROWS)
    with pytest.raises(ConfigError, match="nonsense"):
        run("classify", ROWS, overwrite=True, encoder={"nonsense": 3})
    assert {p: p.read_bytes() for p in Path("out").rglob("*") if p.is_file()} == before
    run("mlm", [{"x": "a new text"}, {"x": "another one"}], overwrite=True)
    assert bothways.load("out").spec.heads[0].task == "masked_tokens"
    with pytest.raises(ConfigError, match="either resumed or overwritten"):
        run("mlm", ROWS, overwrite=True, resume=True)


def test_overwriting_removes_nothing_but_runs(run: TrainingRun) -> None:
    run("classify", ROWS)
    Path("out/notes.txt").write_text("mine")
    with pytest.raises(DataFileError, match=r"out/notes\.txt: is no part of a run"):
        run("classify", ROWS, overwrite=True)
    Path("out/notes.txt").unlink()
    with pytest.raises(ConfigError, match="out: is in out, which --overwrite removes"):
        run("classify", ROWS, overwrite=True, model={"from": "out"})
    Path("out/training.json").unlink()
    with pytest.raises(DataFileError, match="is a model and not a run"):
        run("classify", ROWS, overwrite=True)


def test_a_run_that_another_process_trains_is_left_alone(run: TrainingRun) -> None:
    run("classify", ROWS)
    code = (
        "import sys\nfrom pathlib import Path\nfrom bothways.training.runs.lock import run_lock\n"
        "with run_lock(Path('out')):\n    print('held', flush=True)\n    sys.stdin.readline()\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for option in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(DataFileError, match="another process is training"):
                run("classify", ROWS, **option)
        process.communicate("\n")
    run("classify", ROWS, resume=True)


def test_a_class_with_a_single_row_is_an_error_or_kept_or_dropped(run: TrainingRun) -> None:
    rows = [*ROWS, {"x": "one of a kind", "y": "rare"}]
    with pytest.raises(DataFileError, match=r"only this row has the class 'rare'.*--rare-classes"):
        run("classify", rows)
    told: list[str] = []
    run("classify", rows, data={"rare_classes": "keep"}, out="kept", tell=told.append)
    assert bothways.load("kept").spec.heads[0].labels == ("p", "q", "rare")
    assert told[0].startswith("7 training rows, 2 validation rows")
    run("classify", rows, data={"rare_classes": "drop"}, out="dropped", tell=told.append)
    assert bothways.load("dropped").spec.heads[0].labels == ("p", "q")
    assert "dropped classes with a single row: 1" in " ".join(told)


def test_validation_rows_of_a_dropped_class_are_dropped_too(run: TrainingRun) -> None:
    rows = [*ROWS, {"x": "one of a kind", "y": "rare"}]
    Path("valid.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[-3:]))
    told: list[str] = []
    data = {"rare_classes": "drop", "validation": ["valid.jsonl"]}
    run("classify", rows, data=data, tell=told.append)
    assert told[0].startswith("8 training rows, 2 validation rows")

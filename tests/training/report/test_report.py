from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.installation import install_command
from bothways.model.config import EncoderConfig
from bothways.model.heads import HeadTask
from bothways.model.pooling import Pooling
from bothways.training import report
from bothways.training.objectives.classify import Classify, ClassifyMany
from bothways.training.objectives.contrast import Contrast
from bothways.training.objectives.heads import head_for
from bothways.training.objectives.identity import NUM_COLUMNS
from bothways.training.objectives.masked_tokens import MaskedTokens
from bothways.training.objectives.objective import Objective
from bothways.training.objectives.regress import Regress
from bothways.training.objectives.tag import Tag
from bothways.training.report import HeldOutResults, write_report

Hold = Callable[..., HeldOutResults]

CONFIG = EncoderConfig(num_layers=1, num_heads=1, d_model=4, d_ff=4, vocab_size=9, max_length=8)
FACTS = {"data": "train.csv", "from": "mini|lm"}
EVENTS: list[dict[str, Any]] = [
    {"kind": "step", "step": 1, "epoch": 1.0, "loss": 0.5, "learning_rate": 1e-4},
    {"kind": "validation", "step": 1, "epoch": 1.0, "best": True, "metrics": {"loss": 0.4}},
]


def _head(task: HeadTask, *labels: str) -> Any:
    return head_for(task, CONFIG, labels)


def _classify() -> tuple[Objective, dict[str, np.ndarray]]:
    probabilities = np.array([[0.6, 0.4], [0.2, 0.8]], np.float32)
    ones = np.ones(2, np.float32)
    targets = np.array([0, 0])
    return Classify(head=_head("classes", "x", "y")), {
        "probabilities": probabilities, "targets": targets, "loss": ones, "weights": ones
    }  # fmt: skip


def _classify_many() -> tuple[Objective, dict[str, np.ndarray]]:
    ones = np.ones((2, 2), np.float32)
    return ClassifyMany(head=_head("multilabel", "x", "y")), {
        "probabilities": ones * 0.6, "targets": np.eye(2), "loss": ones, "weights": ones
    }  # fmt: skip


def _tag() -> tuple[Objective, dict[str, np.ndarray]]:
    ones = np.ones(2, np.float32)
    return Tag(head=_head("tags", "O", "B-X")), {
        "predictions": np.array([0, 1]), "targets": np.array([1, 1]), "confidence": ones,
        "begins": np.array([True, True]), "loss": ones, "weights": ones,
    }  # fmt: skip


def _regress() -> tuple[Objective, dict[str, np.ndarray]]:
    target = np.array([[1.0], [2.0]])
    objective = Regress.on(_head("values", "height"), target)
    return objective, {"predictions": target + 0.5, "targets": target, "loss": target}


def _contrast() -> tuple[Objective, dict[str, np.ndarray]]:
    vectors = np.zeros((4, 4 + NUM_COLUMNS), np.float32)
    vectors[:, :4] = np.eye(4)[[0, 0, 1, 1]]
    vectors[:, 4] = np.arange(4)  # each piece is another text
    objective = Contrast(config=CONFIG, pooling=Pooling(("mean",)))
    return objective, {"vectors": vectors, "sequence_counts": np.array([2, 2])}


def _masked() -> tuple[Objective, dict[str, np.ndarray]]:
    objective = MaskedTokens(head=_head("masked_tokens"), vocab_size=9, mask_token=1)
    return objective, {"loss": np.ones(3), "correct": np.array([True, False, True])}


def _write(out: Path, held_out: HeldOutResults | None, objective: Objective) -> str:
    settings = {"learning_rate": 5e-5, "patience": None}
    path = write_report(out, objective, held_out, overview=FACTS, settings=settings, events=EVENTS)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("make", "titles", "call"),
    [
        (_classify, {"Scores by class", "Confusion", "Calibration", "Mistakes"}, "classify"),
        (_classify_many, {"Scores by label", "Calibration", "Mistakes"}, "classify"),
        (_tag, {"Scores by span", "Scores by tag", "Confusion", "Calibration"}, "tag"),
        (_regress, {"Errors", "Largest errors"}, "predict"),
        (_contrast, {"Retrieval", "Worst ranks"}, "encode"),
        (_masked, set(), "encode"),
    ],
)
def test_each_objective_has_its_report(
    tmp_path: Path,
    hold: Hold,
    make: Callable[[], tuple[Objective, dict[str, np.ndarray]]],
    titles: set[str],
    call: str,
) -> None:
    objective, evaluated = make()
    target = [np.array([0]), np.array([0])]
    held_out = hold(evaluated, ["a", "b"], target, objective.metrics(evaluated))
    text = _write(tmp_path, held_out, objective)
    found = {line[3:] for line in text.split("\n") if line.startswith("## ")}
    everywhere = {"Overview", "Scores", "Learning curve", "How to use it"}
    assert found >= titles | everywhere
    assert f"encoder.{call}(sequences)" in text
    assert r"| from | mini\|lm |" in text
    assert "| `patience` | none |" in text
    images = [line.split("](")[1].rstrip(")") for line in text.split("\n") if line[:2] == "!["]
    assert "learning_curve.png" in images
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.png")} == set(images)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(f"<h2>{title}</h2>" in page for title in titles | everywhere)
    assert f"encoder.{call}(sequences)" in page
    assert '<th scope="row"><bdi>from</bdi></th><td><bdi>mini|lm</bdi></td>' in page
    assert page.count('<img src="data:image/png;base64,') == len(images)


def test_without_matplotlib_the_report_says_how_to_get_figures(
    tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "can_draw", lambda: False)
    objective, evaluated = _classify()
    held_out = hold(evaluated, ["a", "b"], None, objective.metrics(evaluated))
    text = _write(tmp_path, held_out, objective)
    assert install_command("plots") in text
    assert "![" not in text
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "report.html"}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert install_command("plots") in unescape(page)
    assert "<img" not in page


def test_without_held_out_data_there_are_no_scores(tmp_path: Path) -> None:
    text = _write(tmp_path, None, _classify()[0])
    assert text.startswith("# classify: trained without held-out data")
    assert "## Scores" not in text


def test_scores_say_whether_they_are_optimistic(tmp_path: Path, hold: Hold) -> None:
    objective, evaluated = _masked()
    held_out = hold(evaluated, ["a"], None, objective.metrics(evaluated))
    assert "slightly optimistic" in _write(tmp_path, held_out, objective)


def test_a_second_report_replaces_the_first(tmp_path: Path) -> None:
    _write(tmp_path, None, _classify()[0])
    text = _write(tmp_path, None, _masked()[0])
    assert text.startswith("# mlm: trained without held-out data")

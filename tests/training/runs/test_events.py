import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from bothways.errors import DataFileError, MissingExtra
from bothways.training.runs.events import (
    StepEvent,
    TrainingEvent,
    ValidationEvent,
    discard_events_after,
    event_log,
    read_events,
    tensorboard_writer,
)


def make_step(step: int, **changed: Any) -> StepEvent:
    fields: dict[str, Any] = {
        "step": step,
        "total_steps": 10,
        "epoch": step / 4,
        "loss": 0.5,
        "learning_rate": 1e-4,
        "gradient_norm": 2.0,
        "tokens": 100 * step,
        "tokens_per_second": 50.0,
        "seconds": 2.0 * step,
        "seconds_left": 9.0,
    }
    return StepEvent(**fields | changed)


def make_validation(step: int, **metrics: float) -> ValidationEvent:
    return ValidationEvent(step=step, epoch=1.0, metrics=metrics, best=True, seconds=3.0)


def write(path: Path, *events: TrainingEvent, log_every: int = 1) -> None:
    with event_log(path, log_every=log_every, scalars=None, progress=None) as tell:
        for event in events:
            tell(event)


def test_a_logged_step_has_all_fields(tmp_path: Path) -> None:
    write(tmp_path / "m.jsonl", make_step(3))
    (event,) = read_events(tmp_path / "m.jsonl")
    assert event == {
        "kind": "step", "step": 3, "epoch": 0.75, "loss": 0.5, "learning_rate": 1e-4,
        "gradient_norm": 2.0, "tokens": 300, "tokens_per_second": 50.0, "seconds": 6.0,
    }  # fmt: skip


def test_a_logged_validation_nests_its_metrics_and_has_null_for_nan(tmp_path: Path) -> None:
    write(tmp_path / "m.jsonl", make_validation(4, loss=0.5, r2=math.nan))
    (event,) = read_events(tmp_path / "m.jsonl")
    assert event["metrics"] == {"loss": 0.5, "r2": None}
    assert event["best"] is True


def test_every_nth_step_and_every_validation_are_logged(tmp_path: Path) -> None:
    steps = [make_step(step) for step in range(1, 8)]
    write(tmp_path / "m.jsonl", *steps, make_validation(7), log_every=3)
    found = [(event["kind"], event["step"]) for event in read_events(tmp_path / "m.jsonl")]
    assert found == [("step", 3), ("step", 6), ("validation", 7)]


def test_the_callback_gets_all_events(tmp_path: Path) -> None:
    heard: list[TrainingEvent] = []
    events: list[TrainingEvent] = [make_step(1), make_step(2), make_validation(2)]
    with event_log(tmp_path / "m.jsonl", log_every=5, scalars=None, progress=heard.append) as tell:
        for event in events:
            tell(event)
    assert heard == events


def test_a_line_is_on_disk_when_the_step_is_over(tmp_path: Path) -> None:
    with event_log(tmp_path / "m.jsonl", log_every=1, scalars=None, progress=None) as tell:
        tell(make_step(1))
        assert len(read_events(tmp_path / "m.jsonl")) == 1


def test_a_resumed_run_adds_to_what_is_there(tmp_path: Path) -> None:
    write(tmp_path / "m.jsonl", make_step(1))
    write(tmp_path / "m.jsonl", make_step(2))
    assert [event["step"] for event in read_events(tmp_path / "m.jsonl")] == [1, 2]


def test_events_of_later_steps_and_an_incomplete_line_are_discarded(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    write(path, *(make_step(step, loss=1 / 3) for step in range(1, 6)), make_validation(5))
    whole = path.read_text().splitlines(keepends=True)
    path.write_text("".join(whole) + '{"kind": "st')
    discard_events_after(path, 3)
    assert path.read_text() == "".join(whole[:3])


def test_discarding_events_without_a_file_does_nothing(tmp_path: Path) -> None:
    discard_events_after(tmp_path / "m.jsonl", 3)
    assert not (tmp_path / "m.jsonl").exists()


@pytest.mark.parametrize("line", ["nonsense", "[]", "{}", '{"kind": "step"}', '{"kind": 1}'])
def test_a_foreign_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "m.jsonl"
    write(path, make_step(1))
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataFileError, match=r"m\.jsonl, line 2: not a training event"):
        read_events(path)


class Scalars:
    """What TensorBoard would get."""

    def __init__(self) -> None:
        self.found: list[tuple[str, float, int]] = []
        self.closed = False

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        self.found.append((tag, scalar_value, global_step))

    def close(self) -> None:
        self.closed = True


def test_tensorboard_gets_the_logged_metrics(tmp_path: Path) -> None:
    scalars = Scalars()
    with event_log(tmp_path / "m.jsonl", log_every=2, scalars=scalars, progress=None) as tell:
        tell(make_step(1))
        tell(make_step(2))
        tell(make_validation(2, accuracy=0.9))
    assert ("training/loss", 0.5, 2) in scalars.found
    assert ("validation/accuracy", 0.9, 2) in scalars.found
    assert all(step == 2 for *_, step in scalars.found)
    assert scalars.closed


def test_a_missing_tensorboard_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtra, match=r"\[tensorboard\]"):
        tensorboard_writer(tmp_path, 0)


def test_tensorboard_forgets_what_comes_after_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, int]] = []

    class Writer(Scalars):
        def __init__(self, folder: str, purge_step: int) -> None:
            super().__init__()
            made.append((folder, purge_step))

    module = type(sys)("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    tensorboard_writer(tmp_path, 6)
    assert made == [(str(tmp_path), 7)]


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="writing failed: Is a directory"):
        write(tmp_path, make_step(1))


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe", b"\x00" * 20, b"[" * 100_000,
        b'{"kind": "step", "step": ' + b"9" * 5000 + b"}",
        b'{"kind": "validation", "step": 1}', b'{"kind": "step", "step": 1, "loss": "x"}',
        b'{"kind": "step", "step": true}', b'{"kind": "step", "st', b"[]", b"3",
        b'{"kind": "step", "step": 1, "loss": 1e999}',
    ],
)  # fmt: skip
def test_damaged_lines_are_removed_when_a_run_resumes(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "m.jsonl"
    write(path, make_step(1))
    whole = path.read_bytes()
    path.write_bytes(line + b"\n" + whole + line + b"\n")
    with pytest.raises(DataFileError, match=r"m\.jsonl, line 1: not a training event"):
        read_events(path)
    with pytest.warns(UserWarning, match=r"m\.jsonl: removed 2 damaged lines"):
        discard_events_after(path, 5)
    assert read_events(path) == [json.loads(whole)]

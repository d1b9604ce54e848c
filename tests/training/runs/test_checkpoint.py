import json
from pathlib import Path

import numpy as np
import pytest

from bothways.errors import CheckpointError
from bothways.training.runs.checkpoint import (
    Checkpoint,
    RunState,
    list_checkpoints,
    load_checkpoint,
    save_checkpoint,
)


def make_checkpoint(step: int) -> Checkpoint:
    weights = {"a": np.arange(6, dtype=np.float32).reshape(2, 3) / 7}
    moments = {
        "a.exp_avg": np.full((2, 3), 1e-30, np.float32),
        "a.step": np.full(1, step, np.float32),
    }
    state = RunState(
        step=step,
        tokens=2**40,
        seconds=1 / 3,
        best_step=2,
        best_value=0.1,
        best_loss=0.2,
        validations_since_best=3,
        validation_is_due=True,
        finished=True,
    )
    return Checkpoint(state, weights, moments)


def test_a_checkpoint_survives_saving_bit_by_bit(tmp_path: Path) -> None:
    saved = make_checkpoint(7)
    found = load_checkpoint(save_checkpoint(tmp_path, saved, keep=2))
    assert found.state == saved.state
    for before, after in ((saved.weights, found.weights), (saved.moments, found.moments)):
        assert before.keys() == after.keys()
        assert all(np.array_equal(before[name], after[name]) for name in before)


def test_the_newest_remain_in_order(tmp_path: Path) -> None:
    for step in (5, 100, 20, 3000):
        save_checkpoint(tmp_path, make_checkpoint(step), keep=2)
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-00000100", "step-00003000"]


def test_a_step_may_be_saved_again(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, make_checkpoint(5), keep=2)
    save_checkpoint(tmp_path, make_checkpoint(5), keep=2)
    assert len(list_checkpoints(tmp_path)) == 1


@pytest.mark.parametrize("replaced", [0, 1, 2])
def test_a_kill_while_a_step_is_saved_again_leaves_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: int
) -> None:
    path = save_checkpoint(tmp_path, make_checkpoint(5), keep=1)
    calls, replace_file = 0, Path.replace

    def replace(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls > replaced:
            raise KeyboardInterrupt
        return replace_file(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, make_checkpoint(5), keep=1)
    assert list_checkpoints(tmp_path) == [path]
    assert load_checkpoint(path).state.step == 5


def test_nothing_but_safetensors_and_json_is_written(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, make_checkpoint(5), keep=2)
    names = sorted(file.name for file in path.iterdir())
    assert names == ["model.safetensors", "optimizer.safetensors", "state.json"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", b"half"),
        ("optimizer.safetensors", b""),
        ("state.json", b'{"step": 3'),
        ("state.json", b'{"step": 3}'),
        ("state.json", b'{"step": "many"}'),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = save_checkpoint(tmp_path, make_checkpoint(5), keep=2)
    (path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"step-00000005/{name}: "):
        load_checkpoint(path)


def test_the_state_is_readable_json(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, make_checkpoint(5), keep=2)
    assert json.loads((path / "state.json").read_text())["best_step"] == 2

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from bothways.checkpoints import read_folder
from bothways.errors import BackendError, BothwaysError, MissingExtra
from bothways.training import read_events
from bothways.training.distributed import processes
from bothways.training.distributed.processes import (
    Workers,
    join_workers,
    process_rank,
)
from bothways.training.engine.sampler import StepSampler

MakeRun = Callable[..., Any]

SAME_GRADIENT = 1e-6
"""Of the largest number in a gradient: a few float32 roundings of 6e-8, as two processes add up
what one adds up in another order."""

SAME_RUN = 1e-5
"""Of the largest weight: what a dozen steps of Adam make of that. Adam divides by the size of a
gradient, so for a weight that hardly matters a last bit may count for more than elsewhere."""

SECONDS = 300
"""Until two processes, of which each imports torch, are given up."""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes have written, in a folder for each run."""
    out = tmp_path_factory.mktemp("both")
    script = Path(__file__).with_name("two_processes.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(script), str(out)]
    errors = out / "errors.txt"
    with errors.open("w") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        try:
            process.wait(timeout=SECONDS)
        finally:
            process.terminate()  # torchrun ends its processes
            process.wait()
    assert process.returncode == 0, errors.read_text()[-4000:]
    return out


@pytest.mark.current_versions
@pytest.mark.parametrize("kind", ["classes", "pairs"])
@pytest.mark.parametrize("step", [0, 1])
def test_the_gradient_of_two_processes_is_that_of_one(
    both: Path, tiny_run: MakeRun, pairs_run: MakeRun, kind: str, step: int
) -> None:
    run = {"classes": tiny_run, "pairs": pairs_run}[kind]()
    expected = run.gradient(step, Workers(0, 1, torch.device("cpu")))
    found = load_file(both / f"gradient-{kind}-{step}.safetensors")
    scale = max(np.abs(array).max() for array in expected.values())
    for name, array in expected.items():
        assert np.abs(found[name] - array).max() <= SAME_GRADIENT * scale, name


def assert_same_run(two: Path, one: Path) -> None:
    """The same losses at each step and validation, and the same weights."""
    told_two, told_one = (read_events(path / "metrics.jsonl") for path in (two, one))
    assert len(told_two) == len(told_one)
    for ours, theirs in zip(told_two, told_one, strict=True):
        for name in ("kind", "step", "tokens", "epoch", "learning_rate"):
            assert ours.get(name) == theirs.get(name)
        if theirs["kind"] == "step":
            assert ours["loss"] == pytest.approx(theirs["loss"], rel=SAME_RUN)
        else:
            assert ours["metrics"] == pytest.approx(theirs["metrics"], rel=SAME_RUN)
    found, expected = (load_file(path / "checkpoints/best.safetensors") for path in (two, one))
    for name, array in expected.items():
        scale = np.abs(array).max()
        assert np.abs(found[name] - array).max() <= SAME_RUN * max(scale, 1), name


@pytest.mark.current_versions
def test_two_processes_train_like_one(both: Path, tiny_run: MakeRun) -> None:
    run = tiny_run()
    run.start()
    assert_same_run(both / "classes", run.out)
    assert read_folder(both / "classes").spec.heads == (run.objective.head,)


@pytest.mark.current_versions
def test_a_joint_loss_is_over_the_vectors_of_both_processes(both: Path, pairs_run: MakeRun) -> None:
    run = pairs_run()
    run.start()
    assert_same_run(both / "pairs", run.out)


@pytest.mark.current_versions
def test_sharded_weights_train_like_replicated_ones(
    both: Path, tiny_run: MakeRun, pairs_run: MakeRun
) -> None:
    for name, run in (("classes", tiny_run("a")), ("pairs", pairs_run("b"))):
        run = run.with_settings(max_steps=6)
        run.start()
        assert_same_run(both / f"{name}-sharded", run.out)


def test_batches_of_a_step_are_uneven_over_the_processes(tiny_run: MakeRun) -> None:
    """Or the tests above would show less than they seem to."""
    run = tiny_run()
    order = StepSampler(run.train.lengths, batch_tokens=64, micro_tokens=24, seed=0)
    counts = {len(order.batches(step)) for step in range(12)}
    assert any(count % 2 for count in counts)


@pytest.mark.current_versions
def test_a_signal_to_one_process_stops_both_and_they_resume_to_the_same_bits(
    both: Path, everything_in: Callable[[Path], dict[str, Any]]
) -> None:
    uncut = everything_in(both / "classes")
    older = [name for name in uncut if "step-00000009" in name]
    resumed = everything_in(both / "stopped")
    assert {k: v for k, v in resumed.items() if k not in older} == {
        k: v for k, v in uncut.items() if k not in older
    }


@pytest.mark.current_versions
@pytest.mark.parametrize("kind", ["replicated", "sharded"])
def test_diverged_rows_of_one_process_are_named_by_both(both: Path, kind: str) -> None:
    first, second = (
        json.loads((both / f"places-{kind}-{rank}.json").read_text()) for rank in (0, 1)
    )
    assert first == second
    assert first
    assert all(place.startswith("data.csv, row ") for place in first)


def test_without_torchrun_there_is_one_process_and_no_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.delenv("RANK", raising=False)
    with join_workers("cpu") as workers:
        assert (workers.rank, workers.size, workers.is_main) == (0, 1, True)
        assert workers.sum([1, 2.5]) == [1, 2.5]
        assert workers.all_gather_object("a") == workers.gather_to_main("a") == ["a"]
        assert workers.broadcast_from_main("a") == workers.run_on_main(lambda: "a") == "a"
        assert not torch.distributed.is_initialized()
    assert process_rank() == 0


def test_an_error_that_cannot_be_pickled_is_sent_as_its_message() -> None:
    for error in (MissingExtra("tensorboard", "a file"), BackendError("no device")):
        found = pickle.loads(pickle.dumps(processes._portable(error)))  # noqa: S301
        assert isinstance(found, BothwaysError)
        assert str(error) in str(found)


def test_the_rank_is_known_before_the_process_group_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    assert process_rank() == 3


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:99"])
def test_an_unavailable_device_is_refused_by_name(device: str) -> None:
    with pytest.raises(BackendError, match=f"device='{device}'"), join_workers(device):
        pass


def test_several_processes_do_not_share_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BackendError, match="each process uses its own GPU"):
        processes._resolve_device("cuda:0", several=True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(BackendError, match="sees 1 GPUs here, and process 1"):
        processes._resolve_device("cuda", several=True)

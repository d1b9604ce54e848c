"""Runs of two processes, to be compared with the same of one: started by torchrun from a test."""

import importlib.util
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import save_file

from bothways.training import StepEvent, TrainingDiverged, TrainingInterrupted
from bothways.training.distributed.processes import join_workers


def load_conftest() -> Any:
    """The tiny runs that the tests share."""
    path = Path(__file__).parents[1] / "conftest.py"
    spec = importlib.util.spec_from_file_location("tiny_runs", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["tiny_runs"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stopped_and_resumed(run: Any, rank: int) -> None:
    """The signal reaches one process, and not the one that writes."""

    prepare = run.objective.prepare

    def signalling(examples: Any, rng: Any) -> Any:
        if rank == 1 and (run.out / "checkpoints/step-00000003").exists():
            signal.raise_signal(signal.SIGTERM)
        return prepare(examples, rng)

    run.objective.prepare = signalling
    with pytest.raises(TrainingInterrupted, match="stopped by SIGTERM"):
        run.start()
    run.objective.prepare = prepare
    run.start(resume=True)


def diverging(run: Any) -> list[str]:
    """A row that only one process meets gives a loss that is no number."""
    loss_of = run.objective.loss

    def loss(model: Any, batch: Any) -> torch.Tensor:
        found: torch.Tensor = loss_of(model, batch)
        return found * float("nan") if (batch.values == 3).sum() == 0 else found

    run.objective.loss = loss
    with pytest.raises(TrainingDiverged) as raised:
        run.start()
    return list(raised.value.places)


def main(out: Path) -> None:
    """Make all runs in folders of `out`."""
    tiny, rank = load_conftest(), int(os.environ["RANK"])
    with join_workers("cpu") as workers:
        for kind, run in (("classes", tiny.TinyRun(out)), ("pairs", tiny.TinyRun.of_pairs(out))):
            for step in (0, 1):
                gradient = run.gradient(step, workers)
                if workers.is_main:
                    save_file(gradient, out / f"gradient-{kind}-{step}.safetensors")
    tiny.TinyRun(out / "classes").start()
    tiny.TinyRun.of_pairs(out / "pairs").start()
    stopped_and_resumed(tiny.TinyRun(out / "stopped"), rank)
    for sharding in ("replicated", "sharded"):
        run = tiny.TinyRun(out / f"diverging-{sharding}").with_settings(sharding=sharding)
        (out / f"places-{sharding}-{rank}.json").write_text(json.dumps(diverging(run)))
    for name, run in (
        ("classes-sharded", tiny.TinyRun(out / "classes-sharded")),
        ("pairs-sharded", tiny.TinyRun.of_pairs(out / "pairs-sharded")),
    ):
        told: list[Any] = []
        sharded = run.with_settings(sharding="sharded", max_steps=6)
        sharded.start(progress=told.append)
        assert bool(told) == (rank == 0), name
        assert all(isinstance(event, StepEvent) or event.metrics for event in told)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

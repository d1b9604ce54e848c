import dataclasses
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from safetensors import SafetensorError
from torch import Tensor

from bothways.checkpoints import read_folder
from bothways.errors import BackendError, CheckpointError, ConfigError, DataFileError, MissingExtra
from bothways.training import StepEvent, TrainingDiverged, ValidationEvent, read_events
from bothways.training.engine.sampler import StepSampler
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.objective import Evaluation, Monitor
from bothways.training.runs import events
from bothways.training.runs.events import TrainingEvent

MakeRun = Callable[..., Any]


def test_a_run_learns_and_its_folder_is_a_model_folder(tiny_run: MakeRun) -> None:
    run = tiny_run().with_settings(max_steps=80, learning_rate=1e-2, validate_every=20)
    run.validation = run.train
    result = run.start()
    assert result.ending == "all steps"
    losses = [event["loss"] for event in read_events(run.out / "metrics.jsonl") if "loss" in event]
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) / 2
    folder = read_folder(run.out)
    assert folder.spec.heads == (run.objective.head,)
    weights = folder.all_weights
    assert all(np.array_equal(weights[n], a) for n, a in run.model.to_weights().items())


def test_settings_that_were_chosen_are_in_the_result_and_in_training_json(
    tiny_run: MakeRun,
) -> None:
    run = tiny_run()
    run.provenance = {"data": "a.csv"}
    result = run.start()
    said = json.loads((run.out / "training.json").read_text())
    assert said["settings"] == result.settings.to_dict()
    assert said["bound"]["about"] == {"data": "a.csv"}
    assert said["versions"]["torch"] == torch.__version__


def test_steps_and_validations_are_reported_and_logged(tiny_run: MakeRun) -> None:
    told: list[Any] = []
    run = tiny_run()
    run.start(progress=told.append)
    kinds = [type(event) for event in told]
    assert kinds == (([StepEvent] * 4) + [ValidationEvent]) * 3
    written = read_events(run.out / "metrics.jsonl")
    assert [event["step"] for event in written] == [event.step for event in told]
    steps = [event for event in told if isinstance(event, StepEvent)]
    assert [event.total_steps for event in steps] == [12] * 12
    assert steps[-1].seconds_left == 0
    assert steps[-1].tokens == sum(
        run.train.lengths[examples_of(run, step)].sum() for step in range(12)
    )


def examples_of(run: Any, step: int) -> np.ndarray:
    s = run.settings
    order = StepSampler(
        run.train.lengths, batch_tokens=s.batch_tokens, micro_tokens=s.micro_tokens, seed=s.seed
    )
    return order.examples(step)


def test_the_best_weights_are_kept_not_the_last(tiny_run: MakeRun) -> None:
    """The monitored figure is the number of the validation, which is best at the first."""
    run = tiny_run()
    seen: list[dict[str, np.ndarray]] = []

    def metrics(evaluated: Evaluation) -> dict[str, float]:
        seen.append(run.model.to_weights())
        return {"loss": float(len(seen))}

    run.objective.metrics = metrics
    result = run.start()
    assert len(seen) == 3
    assert (result.best_step, result.best_value) == (4, 1.0)
    kept = read_folder(run.out)
    for found in (kept.all_weights, run.model.to_weights()):
        assert all(np.array_equal(found[name], array) for name, array in seen[0].items())


def test_training_stops_early_when_validations_no_longer_improve(tiny_run: MakeRun) -> None:
    run = tiny_run().with_settings(patience=2, max_steps=100)
    run.objective.monitor = Monitor("count", "lower")
    counts: list[int] = []

    def metrics(_: Evaluation) -> dict[str, float]:
        counts.append(len(counts))
        return {"count": float(counts[-1]), "loss": 1.0}

    run.objective.metrics = metrics
    result = run.start()
    assert (result.ending, result.steps, result.best_step) == ("early stopping", 12, 4)


def test_among_equal_metrics_the_lower_loss_is_best(tiny_run: MakeRun) -> None:
    run = tiny_run()
    run.objective.monitor = Monitor("accuracy", "higher")
    figures = iter([(0.9, 0.5), (0.9, 0.4), (0.9, 0.6)])
    run.objective.metrics = lambda _: dict(zip(("accuracy", "loss"), next(figures), strict=True))
    assert run.start().best_step == 8


def test_a_metric_that_is_nan_is_never_the_best(tiny_run: MakeRun) -> None:
    run = tiny_run()
    figures = iter([math.nan, 0.5, math.nan])
    run.objective.metrics = lambda _: {"loss": next(figures)}
    result = run.start()
    assert (result.best_step, result.best_value) == (8, 0.5)


@pytest.mark.parametrize("validated", [True, False])
def test_without_a_best_validation_the_last_weights_are_kept(
    tiny_run: MakeRun, validated: bool
) -> None:
    run = tiny_run().with_settings(ema=0.0)
    if validated:
        run.objective.metrics = lambda _: {"loss": math.nan}
    else:
        run.validation = None
    result = run.start()
    assert result.best_step is None
    last = safetensors.numpy.load_file(run.out / "checkpoints/step-00000012/model.safetensors")
    kept = read_folder(run.out)
    assert all(np.array_equal(kept.all_weights[n], a) for n, a in last.items())


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tiny_run: MakeRun) -> None:
    runs = [tiny_run("a"), tiny_run("b"), tiny_run("c").with_settings(seed=1)]
    for run in runs:
        torch.manual_seed(len(run.out.name))  # of no matter
        run.start()
    one, same, other = (run.model.to_weights() for run in runs)
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["heads.classifier.weight"], other["heads.classifier.weight"])


def test_a_folder_with_a_run_or_a_model_is_not_overwritten(tiny_run: MakeRun) -> None:
    run = tiny_run().with_settings(max_steps=1)
    run.start()
    before = (run.out / "model.safetensors").read_bytes()
    with pytest.raises(DataFileError, match=r"run: already contains training\.json; .*--resume"):
        run.with_settings(seed=1).start()
    assert (run.out / "model.safetensors").read_bytes() == before


def test_no_examples_are_refused(tiny_run: MakeRun) -> None:
    run = tiny_run()
    run.train = dataclasses.replace(run.train, examples=[], lengths=np.zeros(0, np.int64))
    with pytest.raises(ConfigError, match="the training data has no examples"):
        run.start()


def test_half_precision_on_a_cpu_and_sharding_alone_are_refused(tiny_run: MakeRun) -> None:
    with pytest.raises(BackendError, match="precision='bf16' needs a GPU"):
        tiny_run().with_settings(precision="bf16").start()
    with pytest.raises(ConfigError, match=r"sharding='sharded' needs several processes.* torchrun"):
        tiny_run().with_settings(sharding="sharded").start()
    with pytest.raises(BackendError, match="device='tpu'"):
        tiny_run().with_settings(device="tpu").start()


def test_a_missing_tensorboard_is_reported_before_the_run_starts(
    tiny_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    run = tiny_run().with_settings(tensorboard=True)
    with pytest.raises(MissingExtra, match="tensorboard"):
        run.start()
    assert not run.out.exists()


class Odd:
    """Gives a loss that is no number when it meets a certain sequence, or a gradient."""

    def __init__(self, run: Any, place: str, how: Callable[[Tensor], Tensor]) -> None:
        self._loss, self._prepare = run.objective.loss, run.objective.prepare
        self._place, self._how = place, how

    def prepare(self, examples: Any, rng: Any) -> Any:
        prepared = self._prepare(examples, rng)
        odd = np.float32(self._place in prepared.places)
        return dataclasses.replace(prepared, targets={**prepared.targets, "odd": np.array([odd])})

    def loss(self, model: TrainedModel, batch: Batch) -> Tensor:
        loss: Tensor = self._loss(model, batch)
        return self._how(loss) if batch.targets["odd"].item() else loss


class InfiniteGradient(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return gradient * math.inf


@pytest.mark.parametrize(
    ("how", "figure"),
    [
        (lambda loss: loss * math.nan, "the loss is nan"),
        (lambda loss: loss * math.inf, "the loss is inf"),
        (InfiniteGradient.apply, "gradient norm (inf|nan)"),
    ],
)
def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_rows_of_its_batch(
    tiny_run: MakeRun, how: Callable[[Tensor], Tensor], figure: str
) -> None:
    run = tiny_run()
    step = 7  # the second time that the row is seen: checkpoints of steps 3 and 6 are there
    place = run.train[int(examples_of(run, step)[0])].place
    odd = Odd(run, place, how)
    run.objective.prepare = odd.prepare

    def loss(model: TrainedModel, batch: Batch) -> Tensor:
        seen = len(read_events(run.out / "metrics.jsonl"))
        return (
            odd.loss(model, batch)
            if seen > step
            else run.objective.__class__.loss(run.objective, model, batch)
        )

    run.objective.loss = loss
    with pytest.raises(TrainingDiverged, match=figure) as raised:
        run.start()
    assert place in raised.value.places
    assert len(raised.value.places) < len(examples_of(run, step))
    assert "step 8: " in str(raised.value)
    assert str(run.out / "checkpoints/step-00000006") in str(raised.value)
    newest = run.out / "checkpoints/step-00000006/model.safetensors"
    found = safetensors.numpy.load_file(newest)
    assert all(np.isfinite(array).all() for array in found.values())
    for parameter in run.model.parameters():
        assert torch.isfinite(parameter).all()


@pytest.mark.parametrize(
    ("room", "name", "latest_checkpoint"),
    [
        (6, "checkpoints/step-00000006/model.safetensors", 3),
        (7, "checkpoints/step-00000006/optimizer.safetensors", 3),
        (8, "checkpoints/best.safetensors", 6),
        (9, "model.safetensors", 6),
    ],
)
def test_a_full_disk_stops_the_run_and_leaves_the_last_good_checkpoint(
    tiny_run: MakeRun,
    monkeypatch: pytest.MonkeyPatch,
    everything_in: Any,
    room: int,
    name: str,
    latest_checkpoint: int,
) -> None:
    """Room for `room` files of weights: four at step 3, two at step 4, and so on."""
    save = safetensors.numpy.save_file
    saved: list[Path] = []

    def save_file(arrays: Any, path: Path, metadata: Any) -> None:
        if len(saved) == room:
            path.write_bytes(b"as much as there was room for")
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        saved.append(path)
        save(arrays, path, metadata=metadata)

    monkeypatch.setattr(safetensors.numpy, "save_file", save_file)
    run = tiny_run()
    with pytest.raises(DataFileError, match=f"run/{name}: writing failed: .*No space") as raised:
        run.start()
    checkpoint = f"{run.out}/checkpoints/step-{latest_checkpoint:08d};"
    assert f"last checkpoint: {checkpoint} free some space, then resume with resume=True" in str(
        raised.value
    )
    saved[:] = [Path()] * 100
    run.start(resume=True)
    saved.clear()
    whole = tiny_run("whole")
    monkeypatch.undo()
    whole.start()
    assert everything_in(run.out) == everything_in(whole.out)


def test_an_event_log_that_cannot_be_written_stops_the_run_too(
    tiny_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_dict = events._to_dict

    def no_room_at_5(event: TrainingEvent) -> dict[str, Any]:
        if event.step == 5:
            raise OSError(28, "No space left on device")
        return to_dict(event)

    monkeypatch.setattr(events, "_to_dict", no_room_at_5)
    run = tiny_run()
    with pytest.raises(DataFileError, match=r"metrics\.jsonl: writing failed: No space left"):
        run.start()
    assert (run.out / "checkpoints/step-00000003").is_dir()


def test_the_error_of_a_damaged_checkpoint_says_what_to_do(tiny_run: MakeRun) -> None:
    run = tiny_run()
    run.start()
    (run.out / "checkpoints/step-00000012/optimizer.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"step-00000012/optimizer.*remove .*step-00000012"):
        run.start(resume=True)

"""The training loop: every run of every objective is this one loop.

Examples in steps, a gradient for each step, an update for each gradient; now and then a validation,
whose weights are kept if they are the best, and a checkpoint, from which a run that was cut goes on
to the very weights it would have had.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import torch

from bothways.checkpoints import ModelFolder
from bothways.errors import BackendError, ConfigError
from bothways.training.data.dataset import Dataset
from bothways.training.data.fingerprint import fingerprint
from bothways.training.distributed.processes import Workers, join_workers
from bothways.training.engine.divergence import find_diverged_rows
from bothways.training.engine.evaluation import validate
from bothways.training.engine.interrupts import advice, diverged, interrupted
from bothways.training.engine.microbatches import prepare_step
from bothways.training.engine.run import TrainingRun
from bothways.training.engine.sampler import StepSampler
from bothways.training.engine.step import GradientAccumulator, clip_gradients
from bothways.training.engine.torch_setup import torch_for_training
from bothways.training.model import TrainedModel
from bothways.training.objectives.objective import Objective
from bothways.training.resolved_settings import ResolvedSettings, resolve_settings
from bothways.training.runs.events import (
    EventCallback,
    find_tensorboard,
    journal,
    tensorboard_writer,
)
from bothways.training.runs.folder import RunFolder
from bothways.training.runs.signals import StopRequest, catch_stop_signals
from bothways.training.settings import TrainingSettings

__all__ = ["TrainingResult", "fit"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a run came to.

    ending: whether all steps were made, or validations stopped getting better. settings: with all
    that was chosen. steps, tokens and seconds: of the whole run. best_step, best_value: of the
    validation whose weights are kept, and its monitored figure; None without validation data.
    """

    ending: Literal["all steps", "no better validation"]
    settings: ResolvedSettings
    steps: int
    tokens: int
    seconds: float
    best_step: int | None
    best_value: float | None


def fit(
    model: TrainedModel,
    objective: Objective,
    train: Dataset,
    validation: Dataset | None,
    settings: TrainingSettings,
    out: Path,
    *,
    template: ModelFolder,
    from_scratch: bool,
    about: Mapping[str, Any] = _NOTHING,
    resume: bool = False,
    how_to_resume: str = "resume=True",
    progress: EventCallback | None = None,
) -> TrainingResult:
    """Train a model, and keep it in the folder `out`: the best weights, and how it went.

    In the end the model has the best weights: those of the best validation or, without validation
    data, the last. Under torchrun every process calls this with the same arguments.

    template: the model folder that `out` becomes, but for its weights and heads.
    from_scratch: whether the model's weights are random, which some defaults depend on.
    about: what else the run depends on, as JSON: files and their hashes, options of the objective.
        It is written to training.json, and a run is resumed only with the same.
    resume: go on from the newest checkpoint in `out`, or from the start if there is none yet.
    how_to_resume: what a message tells the user to add to the call or command.
    progress: called on the main process with each step and each validation.

    Raises:
        TrainingInterrupted: if a signal asked to stop; the step was finished and saved.
        TrainingDiverged: if a loss or gradient was NaN or infinite; the update was not made.
        CheckpointError: if the run in `out` cannot be resumed, or not with these settings or data.
        DataFileError: if `out` is taken, or cannot be written: a full disk, say.
        ConfigError: if there is nothing to learn from, or to validate with.
        BackendError: if the device or its precision is not to be had.
        MissingExtra: if files for TensorBoard are wanted, and it is not installed.
    """
    for name, data in (("training", train), ("validation", validation)):
        if data is not None and not len(data):
            raise ConfigError(f"the {name} data has no examples")
    if settings.tensorboard:
        find_tensorboard()
    with (
        join_workers(settings.device) as workers,
        torch_for_training(workers.device, settings.threads),
        catch_stop_signals() as stop,
    ):
        resolved, order = _plan(train, settings, from_scratch, workers)
        run = TrainingRun(model, objective, order, resolved, workers, RunFolder(out), template)
        bound = {
            "objective": objective.name,
            "head": None if objective.head is None else dataclasses.asdict(objective.head),
            "encoder": template.config.to_dict(),
            "training_data": fingerprint(train),
            "validation_data": None if validation is None else fingerprint(validation),
            "about": dict(about),
        }
        run.begin(bound, resume=resume)
        with advice(run, how_to_resume), _journal(run, progress) as tell:
            _train(run, train, validation, stop, tell, how_to_resume)
        model.to(workers.device).eval().load_weights(run.folder.best())
        state, total_steps = run.state, run.total_steps
        del run  # and with it weights that are spread over processes, before these part
    return TrainingResult(
        ending="all steps" if state.step == total_steps else "no better validation",
        settings=resolved,
        steps=state.step,
        tokens=state.tokens,
        seconds=state.seconds,
        best_step=state.best_step,
        best_value=state.best_value,
    )


def _train(
    run: TrainingRun,
    train: Dataset,
    validation: Dataset | None,
    stop: StopRequest,
    tell: EventCallback,
    how_to_resume: str,
) -> None:
    """The loop, from where the run is to its end."""
    state, settings, workers = run.state, run.settings, run.workers
    work = GradientAccumulator(run.model, run.objective, workers, settings)
    while not state.finished:
        if not state.validation_is_due:  # as it is where a run was stopped before it
            batches = run.order.batches(state.step)
            parts = prepare_step(run.objective, train, state.step, batches, workers, settings)
            done = work.run(state.step, parts)
            norm = clip_gradients(run.model, settings.clip_norm)
            if not (math.isfinite(done.loss) and math.isfinite(norm)):
                places = find_diverged_rows(work, state.step, parts)
                raise diverged(run, done.loss, norm, places)
            tell(run.update(done, norm))

        stopping, overdue = (count > 0 for count in workers.sum([stop.number, run.is_overdue]))
        if state.validation_is_due and not stopping:
            if validation is not None:
                metrics = validate(run.model, run.objective, validation, settings, workers)
                tell(run.record_validation(metrics))
            state.validation_is_due = False

        is_last = state.step == run.total_steps or run.should_stop_early
        state.finished = is_last and not state.validation_is_due
        if state.finished or stopping or overdue or run.is_due(settings.checkpoint_every):
            if state.best_step is None:  # nothing says that earlier weights were better
                run.save_best_weights()
            saved = run.save()
            if stopping and not state.finished:
                raise interrupted(run, stop, saved, how_to_resume)


def _plan(
    train: Dataset, settings: TrainingSettings, from_scratch: bool, workers: Workers
) -> tuple[ResolvedSettings, StepSampler]:
    """The settings with all that was to be chosen, and the order of the examples under them."""
    if settings.sharding == "sharded" and workers.size == 1:
        raise ConfigError(
            "sharding='sharded' spreads weights over processes, and there is one: start more with "
            "torchrun --nproc-per-node, or choose 'replicated'"
        )
    gpu = workers.device.type == "cuda"
    bf16 = gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    if settings.precision == "bf16" and not bf16:
        raise BackendError(
            "precision='bf16' needs a GPU that has it; a CPU would emulate it slowly: choose 'fp32'"
        )
    resolved = resolve_settings(
        settings, train.lengths, from_scratch=from_scratch, gpu=gpu, bf16=bf16
    )
    order = StepSampler(
        train.lengths,
        batch_tokens=resolved.batch_tokens,
        micro_tokens=resolved.micro_tokens,
        seed=resolved.seed,
    )
    return resolved, order


@contextlib.contextmanager
def _journal(run: TrainingRun, progress: EventCallback | None) -> Iterator[EventCallback]:
    """What is to be told of each event; the main process alone passes it on."""
    if not run.workers.is_main:
        yield lambda _: None
        return
    folder, settings = run.folder, run.settings
    scalars = None
    if settings.tensorboard:
        scalars = tensorboard_writer(folder.path / "tensorboard", run.state.step)
    every = settings.log_every
    with journal(folder.metrics, log_every=every, scalars=scalars, progress=progress) as tell:
        yield tell

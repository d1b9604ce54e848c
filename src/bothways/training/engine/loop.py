"""The training loop of every objective.

Each step computes a gradient and updates the weights. From time to time the loop validates, keeps
the weights if they are the best so far, and saves a checkpoint. A run that was interrupted resumes
from its newest checkpoint and ends with exactly the weights that it would have had.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from bothways.checkpoints import ModelBundle
from bothways.errors import CheckpointError, ConfigError
from bothways.nn.threads import torch_threads
from bothways.training.data.dataset import Dataset
from bothways.training.data.fingerprint import fingerprint
from bothways.training.data.source import Stage, hidden_stage
from bothways.training.distributed.processes import join_workers
from bothways.training.engine.divergence import find_diverged_rows
from bothways.training.engine.evaluation import validate
from bothways.training.engine.frozen import head_only, precompute
from bothways.training.engine.interrupts import (
    divergence_error,
    explain_failed_writes,
    interruption,
)
from bothways.training.engine.microbatches import prepare_step
from bothways.training.engine.run import TrainingRun
from bothways.training.engine.run_settings import choose_threads, resolve_run_settings
from bothways.training.engine.sampler import StepSampler
from bothways.training.engine.start_options import StartOptions
from bothways.training.engine.step import GradientAccumulator, clip_gradients
from bothways.training.engine.torch_setup import torch_for_training
from bothways.training.model import TrainedModel
from bothways.training.objectives.objective import Objective
from bothways.training.resolved_settings import ResolvedSettings
from bothways.training.runs.events import (
    EventCallback,
    event_log,
    find_tensorboard,
    tensorboard_writer,
)
from bothways.training.runs.folder import RUN_FILE, RunFolder
from bothways.training.runs.lock import run_lock
from bothways.training.runs.signals import StopRequest, catch_stop_signals
from bothways.training.settings import TrainingSettings

__all__ = ["TrainingResult", "fit"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """The result of a run.

    ending: whether the run made all its steps, or stopped early because validations no longer
    improved. settings: without open values. steps, tokens, seconds: of the whole run. best_step,
    best_value: the validation whose weights were kept, and its monitored metric; None without
    validation data.
    """

    ending: Literal["all steps", "early stopping"]
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
    template: ModelBundle,
    from_scratch: bool,
    provenance: Mapping[str, Any] = _NOTHING,
    options: StartOptions | None = None,
) -> TrainingResult:
    """Train a model and save it in the folder `out`: the best weights, and the run's metrics.

    In the end the model has the best weights: those of the best validation or, without validation
    data, the last. With a frozen encoder, only the head is trained, on vectors that are computed
    before the first step. Under torchrun every process calls this with the same arguments.

    template: the model folder that `out` becomes, except for its weights and heads.
    from_scratch: whether the model's weights are random; some defaults depend on it.
    provenance: what else the run depends on, as JSON: files and their hashes, options of the
        objective. It is written to training.json, and a run resumes only with the same.
    options: how the run starts, and what is called as it proceeds.

    Raises:
        TrainingInterrupted: if a signal stopped the run; the step was finished and saved.
        TrainingDiverged: if a loss or gradient was NaN or infinite; the update was not made.
        CheckpointError: if the run in `out` cannot be resumed, or not with these settings or data.
        DataFileError: if `out` is in use or cannot be written, for example on a full disk.
        ConfigError: if the training or validation data is empty, or if the encoder is frozen and
            the model has no head of classes, tags or values.
        BackendError: if the device or its precision is not available.
        MissingExtra: if the settings ask for TensorBoard files and TensorBoard is not installed.
    """
    options = options or StartOptions()
    for name, data in (("training", train), ("validation", validation)):
        if data is not None and not len(data):
            raise ConfigError(f"the {name} data has no examples")
    if settings.tensorboard:
        find_tensorboard()
    with join_workers(settings.device) as workers, contextlib.ExitStack() as held:
        workers.run_on_main(lambda: _hold(out, held, resume=options.resume))
        earlier = RunFolder(out).settings if options.resume else None
        if earlier is not None:
            settings = settings.as_in_earlier_version(earlier)
        resolved = resolve_run_settings(
            settings, train.lengths, template.config, from_scratch=from_scratch, workers=workers
        )
        held.enter_context(torch_for_training(workers.device, resolved.threads))
        sampler = StepSampler(
            train.lengths,
            batch_tokens=resolved.batch_tokens,
            micro_tokens=resolved.micro_tokens,
            seed=resolved.seed,
        )
        trained = head_only(model) if resolved.frozen else model
        run = TrainingRun(trained, objective, sampler, resolved, workers, RunFolder(out), template)
        dependencies = {
            "objective": objective.name,
            "head": None if objective.head is None else dataclasses.asdict(objective.head),
            "encoder": template.config.to_dict(),
            "training_data": fingerprint(train),
            "validation_data": None if validation is None else fingerprint(validation),
            "about": dict(provenance),
        }
        run.begin(dependencies, resume=options.resume, overwrite=options.overwrite)
        if options.validate_first and not run.state.step:
            run.state.validation_is_due = True
        if resolved.frozen and not run.state.finished:
            train, validation = _precompute(
                model, train, validation, run, threads=settings.threads, stage=options.stage
            )
        with (
            catch_stop_signals() as stop,
            explain_failed_writes(run, options.how_to_resume),
            _event_log(run, options.progress) as emit,
        ):
            _train(run, train, validation, stop, emit, options.how_to_resume)
        model.to(workers.device).eval().load_weights(run.folder.load_best_weights())
        state, total_steps = run.state, run.total_steps
        del run  # and its sharded weights, before the processes part
    return TrainingResult(
        ending="all steps" if state.step == total_steps else "early stopping",
        settings=resolved,
        steps=state.step,
        tokens=state.tokens,
        seconds=state.seconds,
        best_step=state.best_step,
        best_value=state.best_value,
    )


def _hold(out: Path, held: contextlib.ExitStack, *, resume: bool) -> None:
    """Lock the run's folder until `held` closes; a folder to resume must exist."""
    if resume and not out.is_dir():
        raise CheckpointError(f"{out}: no run to resume: {RUN_FILE} is missing")
    held.enter_context(run_lock(out))


def _precompute(
    model: TrainedModel,
    train: Dataset,
    validation: Dataset | None,
    run: TrainingRun,
    *,
    threads: int | None,
    stage: Stage,
) -> tuple[Dataset, Dataset | None]:
    """The data with the vectors of the frozen encoder; every process computes all of them."""
    device, settings = run.workers.device, run.settings
    total = len(train) + (0 if validation is None else len(validation))
    if threads is None and device.type == "cpu":
        length = round(float(train.lengths.mean()))
        threads = choose_threads(run.config, tokens=settings.micro_tokens, length=length)
    open_stage = stage if run.workers.is_main else hidden_stage
    with torch_threads(threads), open_stage("computing vectors") as report:

        def vectors_of(data: Dataset, before: int) -> Dataset:
            def show(done: int) -> None:
                report((before + done) / total)

            return precompute(model, data, settings, device, run.folder.path, show)

        of_train = vectors_of(train, 0)
        return of_train, None if validation is None else vectors_of(validation, len(train))


def _train(
    run: TrainingRun,
    train: Dataset,
    validation: Dataset | None,
    stop: StopRequest,
    emit: EventCallback,
    how_to_resume: str,
) -> None:
    """The loop, from the state of the run to its end."""
    state, settings, workers = run.state, run.settings, run.workers
    accumulator = GradientAccumulator(run.model, run.objective, workers, settings)
    while not state.finished:
        if not state.validation_is_due:  # it is due at first if a run was stopped just before it
            batches = run.sampler.batches(state.step)
            microbatches = prepare_step(
                run.objective, train, state.step, batches, workers, settings
            )
            loss = accumulator.accumulate(state.step, microbatches)
            norm = clip_gradients(run.model, settings.clip_norm)
            if not (math.isfinite(loss.loss) and math.isfinite(norm)):
                places = find_diverged_rows(accumulator, state.step, microbatches)
                raise divergence_error(run, loss.loss, norm, places)
            emit(run.update(loss, norm))

        stopping, overdue = (
            count > 0 for count in workers.sum([stop.number, run.checkpoint_is_overdue])
        )
        if state.validation_is_due and not stopping:
            if validation is not None:
                with run.averaged_weights():
                    metrics = validate(run.model, run.objective, validation, settings, workers)
                emit(run.record_validation(metrics))
            state.validation_is_due = False

        is_last = state.step == run.total_steps or run.should_stop_early
        state.finished = is_last and not state.validation_is_due
        if state.finished or stopping or overdue or run.is_due(settings.checkpoint_every):
            if state.best_step is None:  # without a validation the last weights are the best
                run.save_best_weights()
            checkpoint = run.save_checkpoint()
            if stopping and not state.finished:
                raise interruption(run, stop, checkpoint, how_to_resume)


@contextlib.contextmanager
def _event_log(run: TrainingRun, progress: EventCallback | None) -> Iterator[EventCallback]:
    """Yield a function that logs an event; only the main process does anything in it."""
    if not run.workers.is_main:
        yield lambda _: None
        return
    folder, settings = run.folder, run.settings
    scalars = None
    if settings.tensorboard:
        scalars = tensorboard_writer(folder.path / "tensorboard", run.state.step)
    every = settings.log_every
    with event_log(folder.metrics, log_every=every, scalars=scalars, progress=progress) as emit:
        yield emit

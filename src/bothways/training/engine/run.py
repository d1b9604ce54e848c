"""The state of one run: its model, optimizer, progress and folder."""

import contextlib
import copy
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bothways.checkpoints import ModelBundle
from bothways.errors import CheckpointError
from bothways.model.baselines import AnyConfig
from bothways.training.distributed.processes import Workers
from bothways.training.distributed.sharding import copy_array_into, shard, to_full_array
from bothways.training.engine.averaging import WeightAverage
from bothways.training.engine.optimizer import (
    load_moments,
    make_optimizer,
    moments,
    set_learning_rate,
)
from bothways.training.engine.sampler import StepSampler
from bothways.training.engine.schedule import learning_rate
from bothways.training.engine.step import StepLoss
from bothways.training.model import TrainedModel
from bothways.training.objectives.objective import Objective
from bothways.training.resolved_settings import ResolvedSettings
from bothways.training.runs.checkpoint import Checkpoint, RunState
from bothways.training.runs.events import StepEvent, ValidationEvent
from bothways.training.runs.folder import RunFolder, run_description

__all__ = ["TrainingRun"]


class TrainingRun:
    """A run of `total_steps` updates, of which `state.step` have been made.

    template: the model folder that the run's folder becomes, except for its weights and heads.
    """

    def __init__(
        self,
        model: TrainedModel,
        objective: Objective,
        sampler: StepSampler,
        settings: ResolvedSettings,
        workers: Workers,
        folder: RunFolder,
        template: ModelBundle,
    ) -> None:
        # Sharded weights hold references to the process group, so shard a copy of the model.
        self.model = copy.deepcopy(model) if settings.sharding == "sharded" else model
        self.objective, self.sampler = objective, sampler
        self.settings, self.workers, self.folder = settings, workers, folder
        self._template = template
        self.total_steps = settings.total_steps(sampler.steps_per_epoch)
        self._warmup_steps = round(settings.warmup * self.total_steps)
        self.model.to(workers.device).train()
        workers.broadcast_parameters(self.model)
        if settings.sharding == "sharded":
            shard(self.model)
        self._optimizer = make_optimizer(self.model, settings)
        self._average = (
            WeightAverage(self._parameters(), settings.ema * self.total_steps)
            if settings.ema
            else None
        )
        self.state = RunState()
        self._throughput = ThroughputMeter(self.state)
        self._last_saved = time.monotonic()

    def begin(
        self, dependencies: Mapping[str, Any], *, resume: bool, overwrite: bool = False
    ) -> None:
        """Create the run's folder, or resume from its newest checkpoint if there is one.

        A run that has more steps than before continues from its newest checkpoint too, with the
        schedule of the new number of steps; one that stopped early gets its patience again.

        dependencies: what the run depends on besides its settings.
        """
        description = run_description(self.settings, dependencies, self.workers.size)
        reader = self._template.reader_path
        if not resume:
            self.workers.run_on_main(
                lambda: self.folder.begin(description, reader, overwrite=overwrite)
            )
            return
        lengthened_at = self.workers.run_on_main(
            lambda: self.folder.resume(
                description, self.settings, self.sampler.steps_per_epoch, reader
            )
        )
        checkpoint = self.folder.load_latest_checkpoint()
        if checkpoint is not None:
            self._load_weights(checkpoint.weights)
            load_moments(self._optimizer, self._parameters(), checkpoint.moments)
            if self._average is not None:
                self._average.load(checkpoint.moments)
            self.state = checkpoint.state
            if lengthened_at is not None and self.state.step <= lengthened_at:
                self._reopen()
            self._throughput = ThroughputMeter(self.state)
        self.workers.run_on_main(lambda: self.folder.discard_events_after(self.state.step))

    def _reopen(self) -> None:
        """Continue a run that may have finished before it was lengthened."""
        if self.state.finished:
            self.state.finished = False
            self.state.validations_since_best = 0

    def update(self, loss: StepLoss, gradient_norm: float) -> StepEvent:
        """Update the weights with the gradient that the model holds."""
        rate = learning_rate(
            self.state.step,
            self.total_steps,
            peak=self.settings.learning_rate,
            warmup_steps=self._warmup_steps,
            schedule=self.settings.schedule,
        )
        set_learning_rate(self._optimizer, rate)
        self._optimizer.step()
        self.state.step += 1
        if self._average is not None:
            self._average.update(self.state.step)
        self.state.tokens += loss.tokens
        tokens_per_second, seconds_left = self._throughput.measure(self.state, self.total_steps)
        is_last = self.state.step == self.total_steps
        self.state.validation_is_due = is_last or self.is_due(self.settings.validate_every)
        return StepEvent(
            step=self.state.step,
            total_steps=self.total_steps,
            epoch=self.epoch,
            loss=loss.loss,
            learning_rate=rate,
            gradient_norm=gradient_norm,
            tokens=self.state.tokens,
            tokens_per_second=tokens_per_second,
            seconds=self.state.seconds,
            seconds_left=seconds_left,
        )

    def record_validation(self, metrics: Mapping[str, float]) -> ValidationEvent:
        """Record the metrics of a validation; save the weights if they are the best so far."""
        state, monitor = self.state, self.objective.monitor
        value, loss = float(metrics[monitor.metric]), float(metrics["loss"])
        best = math.isfinite(value) and self._is_better(value, loss)
        if best:
            state.best_step, state.best_value = state.step, value
            state.best_loss = loss if math.isfinite(loss) else None  # JSON has no NaN
            state.validations_since_best = 0
            self.save_best_weights()
        else:
            state.validations_since_best += 1
        state.validation_is_due = False
        self._throughput.measure(state, self.total_steps)
        return ValidationEvent(
            step=state.step, epoch=self.epoch, metrics=metrics, best=best, seconds=state.seconds
        )

    def averaged_weights(self) -> contextlib.AbstractContextManager[None]:
        """A context in which the model has the average of its weights, if the run has one."""
        average = self._average
        return contextlib.nullcontext() if average is None else average.in_place_of_weights()

    @property
    def config(self) -> AnyConfig:
        """The config of the encoder."""
        return self._template.config

    @property
    def epoch(self) -> float:
        """Passes over the training data so far."""
        return self.state.step / self.sampler.steps_per_epoch

    @property
    def should_stop_early(self) -> bool:
        """Whether as many validations in a row as `patience` allows brought no improvement."""
        patience = self.settings.patience
        return patience is not None and self.state.validations_since_best >= patience

    def is_due(self, every: int) -> bool:
        """Whether something that happens every `every` steps is due after this step."""
        return self.state.step % every == 0

    @property
    def checkpoint_is_overdue(self) -> bool:
        """Whether the last checkpoint is older than `checkpoint_minutes`."""
        return time.monotonic() - self._last_saved > 60 * self.settings.checkpoint_minutes

    def save_checkpoint(self) -> Path:
        """Write a checkpoint from which the run resumes as if it had not stopped."""
        weights, state = self._weights(), {}
        if self._gathers_weights():
            state = moments(self._optimizer, self._parameters())
            if self._average is not None:
                state |= self._average.arrays()
        checkpoint = Checkpoint(self.state, weights, state)
        keep = self.settings.keep_checkpoints
        path = self.workers.run_on_main(lambda: self.folder.save_checkpoint(checkpoint, keep=keep))
        self._last_saved = time.monotonic()
        return path

    def save_best_weights(self) -> None:
        """Save the current weights, or their average, as the model of the folder."""
        with self.averaged_weights():
            # Copied, because the average is in the model only within the context.
            weights = {name: array.copy() for name, array in self._weights().items()}
        self.workers.run_on_main(
            lambda: self.folder.save_best_weights(weights, self.objective, self._template)
        )

    def _is_better(self, value: float, loss: float) -> bool:
        """Whether a metric is better than the best so far, or equal to it at a lower loss.

        On few rows, many sets of weights reach the same accuracy.
        """
        best_value, best_loss = self.state.best_value, self.state.best_loss
        if best_value is None:
            return True
        if value == best_value:
            return loss < (math.inf if best_loss is None else best_loss)
        return (
            value > best_value if self.objective.monitor.better == "higher" else value < best_value
        )

    def _gathers_weights(self) -> bool:
        """Whether this process takes part in gathering weights for a file."""
        return self.workers.is_main or self.settings.sharding == "sharded"

    def _weights(self) -> dict[str, np.ndarray]:
        if not self._gathers_weights():
            return {}
        return {name: to_full_array(parameter) for name, parameter in self.model.named_weights()}

    def _load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        for name, parameter in self.model.named_weights():
            if name not in weights or weights[name].shape != tuple(parameter.shape):
                raise CheckpointError(
                    f"{self.folder.path}: the run's checkpoint has no weight {name!r} of shape "
                    f"{tuple(parameter.shape)}"
                )
            copy_array_into(parameter, weights[name])

    def _parameters(self) -> dict[str, torch.nn.Parameter]:
        return dict(self.model.named_weights())


class ThroughputMeter:
    """Measures tokens per second and the time left, since the run started or was resumed."""

    def __init__(self, state: RunState) -> None:
        self._began = time.monotonic() - state.seconds
        self._first_step, self._first_second = state.step, state.seconds
        self._tokens, self._seconds = state.tokens, state.seconds

    def measure(self, state: RunState, total_steps: int) -> tuple[float, float]:
        """Update `state.seconds`.

        Returns the tokens per second since the last call, and the seconds left at the mean speed.
        """
        state.seconds = time.monotonic() - self._began
        speed = (state.tokens - self._tokens) / max(state.seconds - self._seconds, 1e-9)
        self._tokens, self._seconds = state.tokens, state.seconds
        steps = max(state.step - self._first_step, 1)
        seconds_per_step = (state.seconds - self._first_second) / steps
        return speed, seconds_per_step * (total_steps - state.step)

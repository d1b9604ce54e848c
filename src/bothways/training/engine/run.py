"""One run as the loop sees it: what is trained, where it is kept, and how far it has come."""

import copy
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bothways.checkpoints import ModelFolder
from bothways.errors import CheckpointError
from bothways.training.distributed.processes import Workers
from bothways.training.distributed.sharding import copy_array_into, shard, to_full_array
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
from bothways.training.runs.folder import RunFolder, describe

__all__ = ["TrainingRun"]


class TrainingRun:
    """A run of `total_steps` updates, of which `state.step` have been made.

    template: the model folder that the run's becomes, but for its weights and heads.
    """

    def __init__(
        self,
        model: TrainedModel,
        objective: Objective,
        order: StepSampler,
        settings: ResolvedSettings,
        workers: Workers,
        folder: RunFolder,
        template: ModelFolder,
    ) -> None:
        # The caller's model stays whole: sharded weights hold on to the group of processes.
        self.model = copy.deepcopy(model) if settings.sharding == "sharded" else model
        self.objective, self.order = objective, order
        self.settings, self.workers, self.folder = settings, workers, folder
        self._template = template
        self.total_steps = settings.total_steps(order.steps_per_epoch)
        self._warmup_steps = round(settings.warmup * self.total_steps)
        self.model.to(workers.device).train()
        workers.broadcast_parameters(self.model)
        if settings.sharding == "sharded":
            shard(self.model)
        self._optimizer = make_optimizer(self.model, settings)
        self.state = RunState()
        self._pace = ThroughputMeter(self.state)
        self._saved = time.monotonic()

    def begin(self, bound: Mapping[str, Any], *, resume: bool) -> None:
        """Take the folder; go on from its newest checkpoint if that is wanted and there is one.

        bound: what the run depends on, beside its settings.
        """
        description = describe(self.settings, bound, self.workers.size)
        if not resume:
            self.workers.run_on_main(lambda: self.folder.begin(description))
            return
        self.workers.run_on_main(lambda: self.folder.resume(description, self.settings))
        checkpoint = self.folder.load()
        if checkpoint is not None:
            self._load_weights(checkpoint.weights)
            load_moments(self._optimizer, self._parameters(), checkpoint.moments)
            self.state = checkpoint.state
            self._pace = ThroughputMeter(self.state)
        self.workers.run_on_main(lambda: self.folder.discard_events_after(self.state.step))

    def update(self, done: StepLoss, gradient_norm: float) -> StepEvent:
        """Change the weights by the gradient that they hold."""
        step = self.state.step
        rate = learning_rate(
            step,
            self.total_steps,
            peak=self.settings.learning_rate,
            warmup_steps=self._warmup_steps,
            schedule=self.settings.schedule,
        )
        set_learning_rate(self._optimizer, rate)
        self._optimizer.step()
        self.state.step += 1
        self.state.tokens += done.tokens
        speed, seconds_left = self._pace.measure(self.state, self.total_steps)
        is_last = self.state.step == self.total_steps
        self.state.validation_is_due = is_last or self.is_due(self.settings.validate_every)
        return StepEvent(
            step=self.state.step,
            total_steps=self.total_steps,
            epoch=self.epoch,
            loss=done.loss,
            learning_rate=rate,
            gradient_norm=gradient_norm,
            tokens=self.state.tokens,
            tokens_per_second=speed,
            seconds=self.state.seconds,
            seconds_left=seconds_left,
        )

    def record_validation(self, metrics: Mapping[str, float]) -> ValidationEvent:
        """Note what a validation found; keep the weights if none were better."""
        state, monitor = self.state, self.objective.monitor
        value, loss = float(metrics[monitor.metric]), float(metrics["loss"])
        best = math.isfinite(value) and self._is_ahead(value, loss)
        if best:
            state.best_step, state.best_value = state.step, value
            state.best_loss = loss if math.isfinite(loss) else None  # as JSON has it
            state.validations_since_best = 0
            self.save_best_weights()
        else:
            state.validations_since_best += 1
        state.validation_is_due = False
        self._pace.measure(state, self.total_steps)
        return ValidationEvent(
            step=state.step, epoch=self.epoch, metrics=metrics, best=best, seconds=state.seconds
        )

    @property
    def epoch(self) -> float:
        """How often the data has been seen."""
        return self.state.step / self.order.steps_per_epoch

    @property
    def should_stop_early(self) -> bool:
        """Whether validations have stopped getting better."""
        patience = self.settings.patience
        return patience is not None and self.state.validations_since_best >= patience

    def is_due(self, every: int) -> bool:
        """Whether the last update was one of every so many."""
        return self.state.step % every == 0

    @property
    def is_overdue(self) -> bool:
        """Whether the last checkpoint was so long ago that one is wanted by the clock."""
        return time.monotonic() - self._saved > 60 * self.settings.checkpoint_minutes

    def save(self) -> Path:
        """Write a checkpoint, from which the run can go on as if it had never stopped."""
        weights = self._weights()
        found = moments(self._optimizer, self._parameters()) if self._is_needed() else {}
        checkpoint = Checkpoint(self.state, weights, found)
        keep = self.settings.keep_checkpoints
        saved = self.workers.run_on_main(lambda: self.folder.save(checkpoint, keep=keep))
        self._saved = time.monotonic()
        return saved

    def save_best_weights(self) -> None:
        """Make the weights as they are now the model of the folder."""
        weights = self._weights()
        self.workers.run_on_main(
            lambda: self.folder.save_best(weights, self.objective, self._template)
        )

    def _is_ahead(self, value: float, loss: float) -> bool:
        """Whether a figure is better than the best so far, or as good at a lower loss.

        Of few rows, many weights get as many right.
        """
        best_value, best_loss = self.state.best_value, self.state.best_loss
        if best_value is None:
            return True
        if value == best_value:
            return loss < (math.inf if best_loss is None else best_loss)
        return (
            value > best_value if self.objective.monitor.better == "higher" else value < best_value
        )

    def _is_needed(self) -> bool:
        """Whether this process takes part in putting weights together to be written."""
        return self.workers.is_main or self.settings.sharding == "sharded"

    def _weights(self) -> dict[str, np.ndarray]:
        if not self._is_needed():
            return {}
        return {name: to_full_array(parameter) for name, parameter in self.model.named_weights()}

    def _load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        for name, parameter in self.model.named_weights():
            if name not in weights or weights[name].shape != tuple(parameter.shape):
                raise CheckpointError(
                    f"{self.folder.path}: the run's checkpoint has no weight {name!r} of the shape "
                    f"{tuple(parameter.shape)}"
                )
            copy_array_into(parameter, weights[name])

    def _parameters(self) -> dict[str, torch.nn.Parameter]:
        return dict(self.model.named_weights())


class ThroughputMeter:
    """How fast a run goes, from where this part of it began."""

    def __init__(self, state: RunState) -> None:
        self._began = time.monotonic() - state.seconds
        self._first_step, self._first_second = state.step, state.seconds
        self._tokens, self._seconds = state.tokens, state.seconds

    def measure(self, state: RunState, total_steps: int) -> tuple[float, float]:
        """Bring `state.seconds` up to date.

        Returns tokens a second since the last call, and the seconds that are left at the mean pace.
        """
        state.seconds = time.monotonic() - self._began
        speed = (state.tokens - self._tokens) / max(state.seconds - self._seconds, 1e-9)
        self._tokens, self._seconds = state.tokens, state.seconds
        steps = max(state.step - self._first_step, 1)
        a_step = (state.seconds - self._first_second) / steps
        return speed, a_step * (total_steps - state.step)

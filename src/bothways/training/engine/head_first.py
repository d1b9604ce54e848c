"""The head of a model to fine-tune, trained before the encoder is.

A new head is random, and its gradients distort a pretrained encoder until it has learned. Kumar et
al. 2022, "Fine-tuning can distort pretrained features and underperform out-of-distribution": train
the head on the frozen encoder, then all weights.
"""

import dataclasses
import math
from pathlib import Path

from bothways.model.baselines import AnyConfig
from bothways.training.data.dataset import Dataset
from bothways.training.distributed.processes import Workers
from bothways.training.engine.frozen import head_only, precompute
from bothways.training.engine.microbatches import prepare_step
from bothways.training.engine.optimizer import make_optimizer, set_learning_rate
from bothways.training.engine.run_settings import choose_threads, resolve_run_settings
from bothways.training.engine.sampler import StepSampler
from bothways.training.engine.schedule import learning_rate
from bothways.training.engine.step import GradientAccumulator, clip_gradients
from bothways.training.engine.torch_setup import torch_for_training
from bothways.training.model import TrainedModel
from bothways.training.objectives.objective import Objective
from bothways.training.resolved_settings import ResolvedSettings
from bothways.training.settings import TrainingSettings

__all__ = ["train_head"]

_EPOCHS, _MAX_STEPS = 20.0, 2000
"""The length of the training of a head, whose steps take a millisecond."""


def train_head(
    model: TrainedModel,
    objective: Objective,
    train: Dataset,
    settings: TrainingSettings,
    config: AnyConfig,
    workers: Workers,
    folder: Path,
) -> None:
    """Train the head of a model on vectors of its frozen encoder, with the defaults of `frozen`.

    Only the main process calls this; the others get the weights when the run starts.
    config: of the encoder. folder: for vectors that do not fit into memory.

    Raises:
        ConfigError: if the model has no head of classes, tags or values.
        DataFileError: if the temporary file cannot be written.
    """
    alone = Workers(0, 1, workers.device)
    own = dataclasses.replace(
        settings,
        frozen=True,
        sharding="replicated",
        max_steps=_MAX_STEPS,
        epochs=_EPOCHS,
        learning_rate=None,
    )
    resolved = resolve_run_settings(own, train.lengths, config, from_scratch=False, workers=alone)
    length = round(float(train.lengths.mean()))
    threads = settings.threads
    if threads is None and alone.device.type == "cpu":
        threads = choose_threads(config, tokens=resolved.micro_tokens, length=length)
    with torch_for_training(alone.device, threads):
        vectors = precompute(model, train, resolved, alone.device, folder, lambda _: None)
    with torch_for_training(alone.device, resolved.threads):
        _train(head_only(model).train(), objective, vectors, resolved, alone)


def _train(
    head: TrainedModel,
    objective: Objective,
    vectors: Dataset,
    settings: ResolvedSettings,
    workers: Workers,
) -> None:
    """Train a head on precomputed vectors."""
    sampler = StepSampler(
        vectors.lengths,
        batch_tokens=settings.batch_tokens,
        micro_tokens=settings.micro_tokens,
        seed=settings.seed,
    )
    optimizer = make_optimizer(head, settings)
    accumulator = GradientAccumulator(head, objective, workers, settings)
    total = settings.total_steps(sampler.steps_per_epoch)
    for step in range(total):
        batches = sampler.batches(step)
        accumulator.accumulate(
            step, prepare_step(objective, vectors, step, batches, workers, settings)
        )
        if not math.isfinite(clip_gradients(head, settings.clip_norm)):
            return  # bad values: the run itself names their rows
        rate = learning_rate(
            step,
            total,
            peak=settings.learning_rate,
            warmup_steps=round(settings.warmup * total),
            schedule=settings.schedule,
        )
        set_learning_rate(optimizer, rate)
        optimizer.step()
    head.zero_grad(set_to_none=True)

"""Descriptions of a run: for messages, its training.json and its report."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bothways.checkpoints import fingerprint
from bothways.model.baselines.any_encoder import name_of
from bothways.training.data.training_data import TrainingData
from bothways.training.engine.loop import TrainingResult
from bothways.training.plan import TrainingPlan
from bothways.training.resolved_settings import ResolvedSettings, steps_per_epoch
from bothways.training.setup.base_model import BaseModel

__all__ = [
    "describe_data",
    "describe_model",
    "describe_steps",
    "held_out_name",
    "provenance",
    "run_overview",
]


def describe_data(data: TrainingData) -> str:
    """The size of the data, in one line."""
    rows = f"{data.num_training:,} training rows"
    if data.num_held_out:
        rows += f", {data.num_held_out:,} validation rows"
    parts = [f"{rows} ({held_out_name(data)})" if data.num_held_out else rows]
    if labels := data.survey.labels:
        parts.append(f"{len(labels)} labels" if len(labels) > 1 else f"predicting {labels[0]}")
    if dropped := len(data.source.dropped):
        parts.append(f"dropped classes with a single row: {dropped:,}")
    if data.shared:
        parts.append(f"{data.shared:,} validation rows are in the training data too")
    return "; ".join(parts)


def held_out_name(data: TrainingData) -> str:
    """The validation data: its files, or a percentage of the data."""
    if data.validation is not None:
        return data.validation.name
    names = ", ".join(Path(file.name).name for file in data.source.files)
    return f"{100 * data.num_held_out / data.survey.num_rows:.1f} % of {names}"


def describe_model(start: BaseModel, source: str | None) -> str:
    """The model that training starts from, in one line; source: its name, if it is not new."""
    config = start.folder.config
    count = sum(math.prod(array.shape) for array in start.folder.weights.values())
    kind = "encoder" if name_of(config) == "transformer" else f"{name_of(config)} encoder"
    encoder = f"new {kind}" if source is None else f"{kind} of {source}"
    inputs = (
        f"{config.vocab_size:,} tokens" if config.vocab_size else f"{config.num_channels} channels"
    )
    return (
        f"{encoder}: {config.num_layers} layers of width {config.d_model}, {inputs}, up to "
        f"{start.folder.spec.max_length} positions, {count / 1e6:.1f} million weights"
    )


def describe_steps(settings: ResolvedSettings, lengths: np.ndarray, device: torch.device) -> str:
    """The number and size of the steps, and what computes them, in one line.

    lengths: tokens of each training example, int64 (n,).
    """
    per_epoch = steps_per_epoch(lengths, settings.batch_tokens)
    steps = settings.total_steps(per_epoch)
    where = "on the CPU" if device.type == "cpu" else f"on {device}"
    if settings.threads is not None:
        where += f" with {settings.threads} thread{'s' if settings.threads > 1 else ''}"
    return (
        f"{steps:,} steps ({steps / per_epoch:.3g} epochs) of about "
        f"{int(lengths.sum()) // per_epoch:,} tokens, {where}"
    )


def provenance(plan: TrainingPlan, data: TrainingData, start: BaseModel) -> dict[str, Any]:
    """What the run depends on besides its settings, for training.json."""
    model = {
        "from": plan.source,
        "fingerprint": None
        if start.from_scratch
        else fingerprint(start.folder.path, plan.adapter, plan.route),
    }
    kind = name_of(start.folder.config)
    # "data" lists the validation files.
    read = dataclasses.asdict(dataclasses.replace(plan.data, validation=()))
    if plan.data.on_overflow == "truncate":
        del read["on_overflow"]  # absent in runs from before there were windows
    objective = dataclasses.asdict(plan.objective)
    if not plan.objective.score_range:
        del objective["score_range"]  # absent in runs from before scored pairs
    return {
        "task": plan.task,
        "data": data.provenance(),
        "read": read,
        # Absent for Transformers, as in runs from before there were other encoders.
        "model": model if kind == "transformer" else model | {"encoder": kind},
        "objective": objective,
        "labels": list(data.survey.labels),
    }


def run_overview(
    plan: TrainingPlan, data: TrainingData, start: BaseModel, result: TrainingResult
) -> dict[str, str]:
    """The overview of a run, for its report."""
    overview = {
        "task": plan.task,
        "data": ", ".join(file.name for file in data.source.files),
        "training rows": f"{data.num_training:,}",
        "validation rows": f"{data.num_held_out:,}",
        "started from": plan.source or "random weights",
        "encoder": describe_model(start, plan.source),
    }
    if data.survey.labels:
        overview["labels"] = f"{len(data.survey.labels)}"
    steps = f"{result.steps:,} steps, {result.tokens:,} tokens, {result.seconds:,.0f} seconds"
    if result.settings.frozen:
        overview["trained weights"] = "those of the head; the encoder is frozen"
    return overview | {"training": steps, "ended with": result.ending}

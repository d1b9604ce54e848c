"""What is said of a run: on the way, in its training.json, and in its report."""

import dataclasses
import math
from pathlib import Path
from typing import Any

from bothways.checkpoints import fingerprint
from bothways.model.baselines.any_encoder import name_of
from bothways.training.data.training_data import TrainingData
from bothways.training.engine.loop import TrainingResult
from bothways.training.plan import TrainingPlan
from bothways.training.setup.base_model import BaseModel

__all__ = ["about", "counted", "described", "facts", "held_out_name"]


def counted(data: TrainingData) -> str:
    """How much there is to learn from, in a line."""
    rows = f"{data.num_training:,} rows to learn from"
    if data.num_held_out:
        rows += f", {data.num_held_out:,} to validate on"
    parts = [f"{rows} ({held_out_name(data)})" if data.num_held_out else rows]
    if labels := data.survey.labels:
        parts.append(f"{len(labels)} labels" if len(labels) > 1 else f"predicting {labels[0]}")
    if data.shared:
        parts.append(f"{data.shared:,} of those to validate on are learned from too")
    return "; ".join(parts)


def held_out_name(data: TrainingData) -> str:
    """What is validated on: files, or a share of the data."""
    if data.validation is not None:
        return ", ".join(Path(file.name).name for file in data.validation.files)
    names = ", ".join(Path(file.name).name for file in data.source.files)
    return f"{100 * data.num_held_out / data.survey.num_rows:.1f} % of {names}"


def described(plan: TrainingPlan, start: BaseModel) -> str:
    """The model that training starts from, in a line."""
    config = start.folder.config
    count = sum(math.prod(array.shape) for array in start.folder.weights.values())
    kind = "encoder" if name_of(config) == "transformer" else f"{name_of(config)} encoder"
    what = f"a fresh {kind}" if start.from_scratch else f"the {kind} of {plan.source}"
    reads = (
        f"{config.vocab_size:,} tokens" if config.vocab_size else f"{config.num_channels} channels"
    )
    return (
        f"{what}: {config.num_layers} layers of {config.d_model}, {reads}, up to "
        f"{start.folder.max_length} positions, {count / 1e6:.1f} million weights"
    )


def about(plan: TrainingPlan, data: TrainingData, start: BaseModel) -> dict[str, Any]:
    """What the run depends on, beside its settings, for training.json."""
    model = {
        "from": plan.source,
        "fingerprint": None if start.from_scratch else fingerprint(start.folder.path),
    }
    kind = name_of(start.folder.config)
    return {
        "task": plan.task,
        "data": data.provenance(),
        # The files to validate on are among the data.
        "read": dataclasses.asdict(dataclasses.replace(plan.data, validation=())),
        # Runs of Transformers say nothing of it, as before there were others.
        "model": model if kind == "transformer" else model | {"encoder": kind},
        "objective": dataclasses.asdict(plan.objective),
        "labels": list(data.survey.labels),
    }


def facts(
    plan: TrainingPlan, data: TrainingData, start: BaseModel, result: TrainingResult
) -> dict[str, str]:
    """What the report says was trained on what."""
    found = {
        "task": plan.task,
        "data": ", ".join(file.name for file in data.source.files),
        "rows to learn from": f"{data.num_training:,}",
        "rows to validate on": f"{data.num_held_out:,}",
        "started from": plan.source or "random weights",
        "encoder": described(plan, start),
    }
    if data.survey.labels:
        found["labels"] = f"{len(data.survey.labels)}"
    steps = f"{result.steps:,} steps, {result.tokens:,} tokens, {result.seconds:,.0f} seconds"
    return found | {"training": steps, "ended by": result.ending}

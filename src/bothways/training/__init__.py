"""Training encoders: one loop for every objective.

    plan = TrainingPlan.of("classify", ["train.csv"], "runs/topic", {"model": {"from": "minilm"}})
    trained = train(plan)

`train` goes from files to a model folder with a report, as `bothways train` does. Under it,
`loop.fit` is the loop; what is learned is an `objectives.Objective`, from a `dataset.Dataset`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bothways.training.data.dataset import Dataset, Example, Piece
    from bothways.training.engine.divergence import TrainingDiverged
    from bothways.training.engine.loop import TrainingResult, fit
    from bothways.training.pipeline import Trained, train
    from bothways.training.plan import TrainingPlan
    from bothways.training.runs.events import Progress, StepEvent, ValidationEvent, read_events
    from bothways.training.runs.signals import TrainingInterrupted
    from bothways.training.settings import TrainingSettings

__all__ = [
    "Dataset",
    "Example",
    "Piece",
    "Progress",
    "StepEvent",
    "Trained",
    "TrainingDiverged",
    "TrainingInterrupted",
    "TrainingPlan",
    "TrainingResult",
    "TrainingSettings",
    "ValidationEvent",
    "fit",
    "read_events",
    "train",
]

_HOME = {
    "Dataset": "data.dataset",
    "Example": "data.dataset",
    "Piece": "data.dataset",
    "Progress": "runs.events",
    "StepEvent": "runs.events",
    "Trained": "pipeline",
    "TrainingDiverged": "engine.divergence",
    "TrainingInterrupted": "runs.signals",
    "TrainingPlan": "plan",
    "TrainingResult": "engine.loop",
    "TrainingSettings": "settings",
    "ValidationEvent": "runs.events",
    "fit": "engine.loop",
    "read_events": "runs.events",
    "train": "pipeline",
}
"""The home of each public name: settings can be read, and help be shown, without torch."""


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

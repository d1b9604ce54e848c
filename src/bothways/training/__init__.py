"""Training encoders: one loop for every objective.

    plan = TrainingPlan.of("classify", ["train.csv"], "runs/topic", {"model": {"from": "minilm"}})
    trained = train(plan)

`train` goes from files to a model folder with a report, as `bothways train` does. Under it,
`loop.fit` is the loop; what is learned is an `objectives.Objective`, from a `dataset.Dataset`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bothways.training.data.dataset import Dataset, Example, InputSequence
    from bothways.training.engine.divergence import TrainingDiverged
    from bothways.training.engine.loop import TrainingResult, fit
    from bothways.training.pipeline import FinishedRun, train
    from bothways.training.plan import TrainingPlan
    from bothways.training.runs.events import EventCallback, StepEvent, ValidationEvent, read_events
    from bothways.training.runs.signals import TrainingInterrupted
    from bothways.training.settings import TrainingSettings

__all__ = [
    "Dataset",
    "EventCallback",
    "Example",
    "FinishedRun",
    "InputSequence",
    "StepEvent",
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
    "Dataset": "dataset",
    "Example": "dataset",
    "InputSequence": "dataset",
    "EventCallback": "journal",
    "StepEvent": "journal",
    "FinishedRun": "pipeline",
    "TrainingDiverged": "divergence",
    "TrainingInterrupted": "signals",
    "TrainingPlan": "options",
    "TrainingResult": "loop",
    "TrainingSettings": "settings",
    "ValidationEvent": "journal",
    "fit": "loop",
    "read_events": "journal",
    "train": "pipeline",
}
"""The home of each public name: settings can be read, and help be shown, without torch."""


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Training encoders: one loop for every objective.

    tables = {"model": {"from": "minilm"}}
    plan = TrainingPlan.from_tables("classify", ["train.csv"], "runs/topic", tables)
    run = train(plan)

`train` turns data files into a model folder with a report, like `bothways train`. It calls
`engine.loop.fit`, which trains any `objectives.Objective` on a `data.Dataset`.

Modules import only from modules of a lower line:

    pipeline | evaluation     files to a trained model | a model and files to a report
    cross_validation          models trained on folds, for a score on all rows
    preparation               a plan to data, objective and model
    report                    report.md, report.html and their figures
    simple_models             simple models on the same rows, and the comparison with them
    setup | engine            the model and objective of a run | the training loop
    runs | distributed        what a run keeps on disk | processes and sharded weights
    objectives                losses and metrics of the five tasks
    data | model              files to examples | the encoder and head that are trained
    plan                      everything that the user chose
    resolved_settings         settings with the defaults that depend on data and device
    options | settings        the options, one dataclass for each table of the configuration
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bothways.training.data.dataset import Dataset, Example, InputSequence
    from bothways.training.engine.divergence import TrainingDiverged
    from bothways.training.engine.loop import TrainingResult, fit
    from bothways.training.engine.start_options import StartOptions
    from bothways.training.evaluation import EvaluatedModel, evaluate
    from bothways.training.pipeline import FinishedRun, train
    from bothways.training.plan import EvaluationPlan, TrainingPlan
    from bothways.training.runs.events import EventCallback, StepEvent, ValidationEvent, read_events
    from bothways.training.runs.signals import TrainingInterrupted
    from bothways.training.settings import TrainingSettings

__all__ = [
    "Dataset",
    "EvaluatedModel",
    "EvaluationPlan",
    "EventCallback",
    "Example",
    "FinishedRun",
    "InputSequence",
    "StartOptions",
    "StepEvent",
    "TrainingDiverged",
    "TrainingInterrupted",
    "TrainingPlan",
    "TrainingResult",
    "TrainingSettings",
    "ValidationEvent",
    "evaluate",
    "fit",
    "read_events",
    "train",
]

_MODULES = {
    "Dataset": "data.dataset",
    "Example": "data.dataset",
    "InputSequence": "data.dataset",
    "EvaluatedModel": "evaluation",
    "EvaluationPlan": "plan",
    "EventCallback": "runs.events",
    "StepEvent": "runs.events",
    "FinishedRun": "pipeline",
    "StartOptions": "engine.start_options",
    "TrainingDiverged": "engine.divergence",
    "TrainingInterrupted": "runs.signals",
    "TrainingPlan": "plan",
    "TrainingResult": "engine.loop",
    "TrainingSettings": "settings",
    "ValidationEvent": "runs.events",
    "evaluate": "evaluation",
    "fit": "engine.loop",
    "read_events": "runs.events",
    "train": "pipeline",
}
"""The module of each public name, imported on first use: settings and help need no torch."""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

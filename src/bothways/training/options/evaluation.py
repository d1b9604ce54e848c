"""The options of an evaluation: a model, files of labeled rows, and where the report goes."""

import dataclasses
from typing import Annotated

from bothways.errors import ConfigError
from bothways.io.options import Option
from bothways.training.options.data import RowOptions
from bothways.training.options.objective import PairLoss, TrainingTask
from bothways.training.settings import DeviceName, ThreadCount

__all__ = ["EvaluationPlan"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationPlan:
    """An evaluation before any file has been read.

    Raises:
        ConfigError: without files, or for an option that is for another task or needs another.
    """

    model: Annotated[
        str,
        Option(
            "Model: a folder of `bothways train`, or another model with a head for the task.",
            unit="MODEL",
        ),
    ]
    files: Annotated[
        tuple[str, ...],
        Option("Labeled data, as `bothways train` reads it for the task.", unit="DATA"),
    ]
    task: Annotated[
        TrainingTask | None,
        Option(
            "Task: classify, tag, regress, mlm or contrast (default: that of the model's only "
            "head; contrast without a head).",
            group="Task", unit="TASK",
        ),
    ] = None  # fmt: skip
    loss: Annotated[
        PairLoss | None,
        Option(
            "contrast: in-batch (pairs), cosine (scored pairs) or contrastive (pairs labeled 0 "
            "and 1) (default: chosen by the columns).",
            group="Task", unit="NAME",
        ),
    ] = None  # fmt: skip
    out: Annotated[
        str | None,
        Option(
            "Folder for report.md, its figures and evaluation.json (default: print the metrics "
            "only).",
            group="Output", unit="DIR", flags=("--out", "-o"),
        ),
    ] = None  # fmt: skip
    overwrite: Annotated[
        bool, Option("Replace the report in the folder.", group="Output", advanced=True)
    ] = False
    device: DeviceName = None
    threads: ThreadCount = None
    data: RowOptions = dataclasses.field(default_factory=RowOptions)

    def __post_init__(self) -> None:
        if not self.files:
            raise ConfigError("no data: expected at least one file")
        if self.loss is not None and self.task not in (None, "contrast"):
            raise ConfigError(f"loss is for contrast, not for {self.task}")

"""A training run, or an evaluation, as the user asks for it.

A training run can come from tables as a TOML file has them.

[data] columns, files and the held-out part. [model] the model to start from, or a new one.
[encoder] fields of a new model's `EncoderConfig`. [objective] how the task is learned.
[training] settings of the loop.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from bothways.errors import ConfigError
from bothways.io.options import Option, from_table, options_of
from bothways.model.old_fields import upgrade_encoder_fields
from bothways.model.read_options import ReadOptions
from bothways.training.options.data import DataOptions, RowOptions
from bothways.training.options.new_model import NewModelOptions
from bothways.training.options.objective import ObjectiveOptions, PairLoss, TrainingTask
from bothways.training.settings import DeviceName, ThreadCount, TrainingSettings

__all__ = ["TABLES", "EvaluationPlan", "TrainingPlan"]

TABLES = ("data", "model", "encoder", "objective", "training")

_NEW_MODEL_ONLY = (
    "size",
    "architecture",
    "encoder",
    "encoder_layers",
    "alphabet",
    "vocabulary",
    "vocab_size",
    "lowercase",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingPlan(ReadOptions):
    """A training run before any file has been read.

    new_model: how to create a new model. When fine-tuning, its `fields` may only change what
        affects no encoding, and `max_length` may only be shorter than the model's.

    Raises:
        ConfigError: without files, or for an option that is for another task.
    """

    task: Annotated[
        TrainingTask,
        Option(
            "mlm: masked tokens or values. classify: one label or several. tag: a label per word, "
            "symbol or position. regress: numbers. contrast: which texts belong together.",
            unit="TASK",
        ),
    ]
    files: Annotated[
        tuple[str, ...],
        Option(
            "Training data: .csv, .tsv, .jsonl or .parquet; for mlm also .txt and .fasta; for tag "
            "also CoNLL (.conll, .txt, .tsv).",
            unit="DATA",
        ),
    ]
    out: Annotated[str, Option("Folder of the run.", unit="DIR", flags=("--out", "-o"))]
    source: Annotated[
        str | None,
        Option(
            "Model to fine-tune: minilm, a folder, org/name (default: a new model).",
            group="Model",
            unit="MODEL",
            flags=("--from",),
        ),
    ] = None
    data: DataOptions = dataclasses.field(default_factory=DataOptions)
    new_model: NewModelOptions = dataclasses.field(default_factory=NewModelOptions)
    objective: ObjectiveOptions = dataclasses.field(default_factory=ObjectiveOptions)
    settings: TrainingSettings = dataclasses.field(default_factory=TrainingSettings)

    def __post_init__(self) -> None:
        if not self.files:
            raise ConfigError("no data: expected at least one file")
        self.objective.check(self.task)
        if self.settings.frozen and self.task not in ("classify", "tag", "regress"):
            raise ConfigError(f"frozen is for classify, tag and regress, not for {self.task}")
        if self.settings.folds is not None and self.task not in ("classify", "regress"):
            raise ConfigError(f"folds is for classify and regress, not for {self.task}")
        if self.data.on_overflow == "window" and self.task not in ("classify", "regress"):
            raise ConfigError(f"on_overflow is for classify and regress, not for {self.task}")
        if self.settings.folds is not None and self.data.validation:
            raise ConfigError("folds does not apply with validation files; remove one of them")
        if self.settings.frozen and self.source is None:
            raise ConfigError(
                "frozen trains only a head, and the encoder of a new model is random; choose a "
                "model with --from"
            )

    @classmethod
    def from_tables(
        cls,
        task: TrainingTask,
        files: Sequence[str],
        out: str,
        tables: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Self:
        """Build a plan from tables as a TOML file has them: missing options keep their defaults.

        In [model], `from` names the model to fine-tune, and `family`, `adapter` and `route` say how
        its folder is read.

        Raises:
            ConfigError: naming the table and the option that is unknown or has an invalid value.
        """
        tables = tables or {}
        model = dict(tables.get("model", {}))
        source = model.pop("from", None)
        names = [field.name for field in options_of(ReadOptions) if field.name in model]
        reading = {name: model.pop(name) for name in names}
        if source is None and names:
            raise ConfigError(f"[model] {names[0]}: applies only to a model to fine-tune (from)")
        if source is not None:
            for name in _NEW_MODEL_ONLY:
                if name in model:
                    raise ConfigError(
                        f"[model] {name}: applies only to a new model; {source!r} defines its own"
                    )
        new_model = from_table(NewModelOptions, model, "[model]")
        return cls(
            task=task,
            files=tuple(files),
            out=out,
            source=source,
            **reading,
            data=from_table(DataOptions, tables.get("data", {}), "[data]"),
            new_model=dataclasses.replace(
                new_model, fields=upgrade_encoder_fields(tables.get("encoder", {}))
            ),
            objective=from_table(ObjectiveOptions, tables.get("objective", {}), "[objective]"),
            settings=from_table(TrainingSettings, tables.get("training", {}), "[training]"),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationPlan(ReadOptions):
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
            "Folder for report.md, report.html, figures and evaluation.json (default: print the "
            "metrics only).",
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

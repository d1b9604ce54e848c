"""Evaluation of a model on files of labeled rows, with the report that training writes."""

import dataclasses
import math
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path

from bothways import __version__
from bothways.checkpoints import fingerprint, resolve
from bothways.errors import ConfigError, DataFileError
from bothways.io.atomic import atomic_file, wrap_write_errors
from bothways.io.json_files import read_object, write_json
from bothways.model.heads import Head, HeadTask
from bothways.training.data.evaluation_data import EvaluationData
from bothways.training.data.examples import PackedExamples
from bothways.training.data.label_checks import KnownLabels
from bothways.training.data.source import Stage, hidden_stage
from bothways.training.distributed.processes import Workers, join_workers
from bothways.training.engine.run_settings import resolve_run_settings
from bothways.training.linear_term.choosing import with_stored_term
from bothways.training.objectives.objective import Objective
from bothways.training.options.objective import ObjectiveOptions, TrainingTask
from bothways.training.plan import EvaluationPlan
from bothways.training.preparation import Notify
from bothways.training.report import (
    FIGURES_FOLDER,
    PAGE_FILE,
    REPORT_FILE,
    HeldOutResults,
    write_report,
)
from bothways.training.report.held_out import evaluate_held_out
from bothways.training.report.summary import describe_model
from bothways.training.runs.folder import RUN_FILE
from bothways.training.settings import TrainingSettings
from bothways.training.setup.base_model import BaseModel, load_base_model
from bothways.training.setup.build import build_model, build_objective

__all__ = ["EVALUATION_FILE", "EvaluatedModel", "evaluate"]

EVALUATION_FILE = "evaluation.json"

_TASK_OF_HEAD: Mapping[HeadTask, TrainingTask] = {
    "classes": "classify",
    "multilabel": "classify",
    "tags": "tag",
    "values": "regress",
    "masked_tokens": "mlm",
    "masked_values": "mlm",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluatedModel:
    """The result of an evaluation.

    task: the task that was evaluated. rows: number of rows. metrics: those of the task, by name.
    report: the path of report.md; None without a folder for it.
    """

    task: TrainingTask
    rows: int
    metrics: Mapping[str, float]
    report: Path | None


def evaluate(
    plan: EvaluationPlan, *, tell: Notify | None = None, stage: Stage | None = None
) -> EvaluatedModel:
    """Evaluate a model on labeled files: the metrics and the report of training, on any data.

    tell: called with lines about data and model. stage: opens a context for each stage before the
    evaluation, to show its progress.

    Raises:
        DataFileError: naming the file, row and column of an invalid value, or of a label that the
            model does not know; or if the folder of the report cannot be written.
        ConfigError: if the model has no head for the task, or several and no task was chosen.
        SourceError, CheckpointError, BackendError: if the model cannot be loaded or run.
    """
    if plan.out is not None:
        _check_out(Path(plan.out), overwrite=plan.overwrite)
    start = load_base_model(resolve(plan.model), fields={}, options=plan)
    task = plan.task or _only_task(plan.model, start)
    data, examples = _read(plan, start, task, stage or hidden_stage)
    overview = {
        "task": task,
        "data": data.name,
        "rows": f"{data.num_rows:,}",
        "model": describe_model(start, plan.model),
    }
    if tell is not None:
        for line in data.source.delimiter_notes():
            tell(line)
        tell(f"{overview['rows']} rows of {overview['data']}")
        tell(overview["model"])
    options = ObjectiveOptions(loss=plan.loss)
    objective = build_objective(task, options, start, data.survey, examples)
    with join_workers(plan.device) as workers:
        results = _run(plan, start, objective, data, examples, workers)
        path = None
        if results is not None and plan.out is not None:
            path = _write(Path(plan.out), plan, start, data, objective, results, overview)
        metrics = workers.broadcast_from_main(None if results is None else dict(results.metrics))
    return EvaluatedModel(task=task, rows=data.num_rows, metrics=metrics, report=path)


def _read(
    plan: EvaluationPlan, start: BaseModel, task: TrainingTask, open_stage: Stage
) -> tuple[EvaluationData, PackedExamples]:
    """Read, check and tokenize the files."""
    head = _head_of(plan.model, start, task)
    with open_stage("reading") as report:
        data = EvaluationData.read(
            task,
            plan.files,
            plan.data,
            kind=start.reader.kind,
            names=dataclasses.replace(plan.data.names, pair_loss=plan.loss),
            known=KnownLabels(labels=() if head is None else head.labels, model=plan.model),
            report=report,
        )
    if head is not None:
        _check_targets(plan.model, head, data)
    max_length = start.folder.spec.max_length
    with open_stage("tokenizing") as report:
        rows = data.tokenize(start.reader, max_length, report=report)
    if rows.validation is None:
        raise DataFileError(f"{data.name}: no row contains anything to evaluate")
    rows.losses.warn(max_length=max_length)
    _warn_about_training_data(start, data)
    return data, rows.validation


def _run(
    plan: EvaluationPlan,
    start: BaseModel,
    objective: Objective,
    data: EvaluationData,
    examples: PackedExamples,
    workers: Workers,
) -> HeldOutResults | None:
    """Evaluate the model; the result is on the main process only."""
    lengths = examples.to_dataset().lengths
    settings = resolve_run_settings(
        TrainingSettings(device=plan.device, threads=plan.threads, batch_tokens=int(lengths.sum())),
        lengths,
        start.folder.config,
        from_scratch=False,
        workers=workers,
    )
    model = build_model(objective, start, seed=settings.seed).to(workers.device).eval()
    objective = with_stored_term(objective, start.folder)
    return evaluate_held_out(
        model,
        objective,
        examples,
        settings,
        workers,
        name=data.name,
        chose_weights=False,
        read_texts=data.texts,
    )


def _only_task(name: str, start: BaseModel) -> TrainingTask:
    """The task of the model's heads; contrast if it has none."""
    tasks = list(dict.fromkeys(_TASK_OF_HEAD[head.task] for head in start.folder.spec.heads))
    if len(tasks) > 1:
        raise ConfigError(f"{name}: has heads for {' and '.join(tasks)}; choose one with --task")
    return tasks[0] if tasks else "contrast"


def _head_of(name: str, start: BaseModel, task: TrainingTask) -> Head | None:
    """The model's head for a task; None for contrast, which needs none."""
    if task == "contrast":
        return None
    heads = start.folder.spec.heads
    for head in heads:
        if _TASK_OF_HEAD[head.task] == task:
            return head
    tasks = " and ".join(_TASK_OF_HEAD[head.task] for head in heads)
    present = f"its heads are for {tasks}" if heads else "it has no heads"
    raise ConfigError(
        f"{name}: has no head for {task}: {present}; train one with: bothways train {task}"
    )


def _check_targets(model: str, head: Head, data: EvaluationData) -> None:
    """Check that rows have as many labels or numbers as the head predicts."""
    match head.task:
        case "classes" if data.survey.multilabel:
            raise DataFileError(
                f"{data.name}: rows have lists of labels, and {model} predicts one label per row"
            )
        case "multilabel" if not data.survey.multilabel:
            raise DataFileError(
                f"{data.name}: each row has one label, and {model} predicts any number; give "
                "lists of labels, or the separator between them with --label-separator"
            )
        case "values" if len(data.survey.ranges) != len(head.labels):
            raise DataFileError(
                f"{data.name}: {len(data.survey.ranges)} columns of numbers, and {model} predicts "
                f"{len(head.labels)}: {', '.join(head.labels)}; name the columns in this order, "
                "each with --target"
            )
        case _:
            pass


def _warn_about_training_data(start: BaseModel, data: EvaluationData) -> None:
    """Warn of files that the model was trained on, as far as its folder says."""
    path = start.folder.path / RUN_FILE
    if not path.is_file():
        return
    bound = read_object(path).get("bound")
    about = bound.get("about") if isinstance(bound, dict) else None
    read = about.get("data") if isinstance(about, dict) else None
    files = read.get("files") if isinstance(read, dict) else None
    hashes = {file.get("sha256") for file in files or () if isinstance(file, dict)}
    for file in data.source.fingerprints():
        if file["sha256"] in hashes:
            warnings.warn(
                f"{file['name']}: is training data of this model; the scores say little about "
                "new data",
                stacklevel=3,
            )


def _check_out(out: Path, *, overwrite: bool) -> None:
    """Check early that the folder of the report is free, or contains nothing but a report."""
    if out.exists() and not out.is_dir():
        raise DataFileError(f"{out}: is a file; expected a folder")
    names = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if names and not overwrite:
        raise DataFileError(
            f"{out}: exists and is not empty; replace its report with --overwrite, or choose "
            "another folder"
        )
    if others := sorted(names - {REPORT_FILE, PAGE_FILE, EVALUATION_FILE, FIGURES_FOLDER}):
        raise DataFileError(f"{out / others[0]}: is no part of a report; choose another folder")


def _write(
    out: Path,
    plan: EvaluationPlan,
    start: BaseModel,
    data: EvaluationData,
    objective: Objective,
    results: HeldOutResults,
    overview: Mapping[str, str],
) -> Path:
    with wrap_write_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        if (figures := out / FIGURES_FOLDER).is_dir():
            shutil.rmtree(figures)
    path = write_report(out, objective, results, overview=overview, model=Path(plan.model))
    facts = {
        "model": plan.model,
        "fingerprint": fingerprint(start.folder.path, plan.adapter, plan.route),
        "task": objective.name,
        "data": data.source.fingerprints(),
        "rows": data.num_rows,
        "metrics": {
            name: value if math.isfinite(value) else None for name, value in results.metrics.items()
        },
        "bothways": __version__,
    }
    with atomic_file(out / EVALUATION_FILE) as hidden:
        write_json(hidden, facts)
    return path

"""A whole training run, as `bothways train` makes it: from files to a model folder with a report.

Read, check and split the data; load or create the model; tokenize; train; evaluate the held-out
data; write the report.
"""

import dataclasses
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bothways.errors import CheckpointError, ConfigError, DataFileError
from bothways.model.linear_terms import NgramTerm
from bothways.training.cross_validation import check_folds, cross_validate
from bothways.training.data.source import Stage, hidden_stage
from bothways.training.distributed.processes import Workers, join_workers
from bothways.training.engine.loop import TrainingResult, fit
from bothways.training.engine.start_options import StartOptions
from bothways.training.linear_term.choosing import choose_linear_term
from bothways.training.plan import TrainingPlan
from bothways.training.preparation import Notify, PreparedRun, prepare
from bothways.training.report import write_report
from bothways.training.report.held_out import HeldOutResults, evaluate_held_out
from bothways.training.report.summary import held_out_name, provenance, run_overview
from bothways.training.resolved_settings import ResolvedSettings
from bothways.training.runs.events import METRICS_FILE, EventCallback, read_events
from bothways.training.runs.folder import RUN_FILE, RunFolder
from bothways.training.runs.lock import LOCK_FILE, run_lock
from bothways.training.runs.overwriting import check_inputs_outside, check_replaceable
from bothways.training.setup.base_model import LARGEST_MAX_LENGTH
from bothways.training.simple_models.comparison import (
    ModelComparison,
    compare_rows,
    describe_score,
    predict_with_simple_models,
)
from bothways.training.simple_models.probe import probe_vectors

__all__ = ["FinishedRun", "train"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A finished run.

    folder: the folder of the trained model. report: the path of report.md. result: of the loop.
    metrics: the objective's metrics on the held-out data; None without held-out data.
    comparison: the score with its interval, beside simple models, on the held-out data or, with
    folds, on all rows; None without either, and for masked tokens and pairs.
    """

    folder: Path
    report: Path
    result: TrainingResult
    metrics: Mapping[str, float] | None
    comparison: ModelComparison | None = None


def train(
    plan: TrainingPlan,
    *,
    resume: bool = False,
    overwrite: bool = False,
    how_to_resume: str = "resume=True",
    progress: EventCallback | None = None,
    tell: Notify | None = None,
    stage: Stage | None = None,
) -> FinishedRun:
    """Train a model as planned, and leave it in the folder `plan.out` with a report.

    resume: resume the run in the folder. how_to_resume: what messages tell the user to add.
    overwrite: replace the run in the folder, once data and options have been checked.
    progress: called after each step and validation. tell: called with lines about data and model.
    stage: opens a context for each stage before the first step, to show its progress.

    Raises:
        DataFileError: naming the file, row and column of invalid data, before training starts; or
            if the folder is in use or cannot be written.
        ConfigError, InputError: if the plan contradicts itself, the data or the model.
        SourceError, CheckpointError: if the model cannot be loaded, or the run cannot be resumed.
        TrainingInterrupted, TrainingDiverged, BackendError: as `loop.fit`.
    """
    out = Path(plan.out)
    if resume and overwrite:
        raise ConfigError("a run is either resumed or overwritten, not both")
    with (
        join_workers(plan.settings.device) as workers,
        TemporaryDirectory() as scratch,
        ExitStack() as held,
    ):
        notify = tell if tell is not None and workers.is_main else _nothing
        workers.run_on_main(lambda: _check_out(plan, resume=resume, overwrite=overwrite))
        workers.run_on_main(lambda: held.enter_context(run_lock(out)))
        open_stage = stage if stage is not None and workers.is_main else hidden_stage
        existing = out if resume else None
        run = prepare(plan, existing, Path(scratch), workers, notify, open_stage)
        if plan.settings.folds is not None:
            check_folds(run.data, plan.settings.folds, seed=plan.settings.seed)
        run.tries_linear_term(plan.settings)  # an error comes before the first step
        truncation = _describe_truncation(plan, run)
        if workers.is_main:
            run.examples.losses.warn(
                max_length=run.start.folder.spec.max_length, new_vocabulary=run.start.from_scratch
            )
        trains_head = run.needs_head(plan.settings)
        if trains_head and not (resume and RunFolder(out).latest_checkpoint):
            with open_stage("training the head"):
                run.train_head(plan.settings, workers, Path(scratch))
        result = fit(
            run.model,
            run.objective,
            run.train,
            run.validation,
            plan.settings,
            out,
            template=run.start.folder,
            from_scratch=run.start.from_scratch,
            provenance=provenance(plan, run.data, run.start),
            options=StartOptions(
                resume=resume,
                overwrite=overwrite,
                how_to_resume=how_to_resume,
                progress=progress,
                stage=open_stage,
                validate_first=trains_head,
            ),
        )
        if run.tries_linear_term(result.settings):  # False in runs from before there was one
            with open_stage("fitting a linear term"):
                run = _with_linear_term(plan, run, result.settings, workers, RunFolder(out))
        held_out = evaluate_held_out(
            run.model,
            run.objective,
            run.examples.validation,
            result.settings,
            workers,
            name=held_out_name(run.data),
            chose_weights=True,
            read_texts=run.data.validation_texts,
        )
        cross_validation = _cross_validate(
            plan, run, Path(scratch), workers, open_stage, how_to_resume
        )
        comparison = workers.run_on_main(
            lambda: _compare(run, held_out, result.settings, workers, Path(scratch), open_stage)
        )
        report = workers.run_on_main(
            lambda: write_report(
                out,
                run.objective,
                held_out,
                overview=run_overview(plan, run.data, run.start, result),
                settings=result.settings.to_dict(),
                events=read_events(out / METRICS_FILE),
                comparison=cross_validation or comparison,
                notes=[note for note in (truncation, _describe_linear_term(run)) if note],
            )
        )
    return FinishedRun(
        folder=out,
        report=report,
        result=result,
        metrics=None if held_out is None else held_out.metrics,
        comparison=cross_validation or comparison,
    )


def _with_linear_term(
    plan: TrainingPlan,
    run: PreparedRun,
    settings: ResolvedSettings,
    workers: Workers,
    folder: RunFolder,
) -> PreparedRun:
    """The run with a linear term in its head and in the model of the folder, if rows gain from it.

    The best weights in `checkpoints` stay without it, so that a run that is resumed ends alike.
    Rows of a validation file stay apart from what the folder has learned from.
    """
    held_out = run.examples.validation
    if held_out is None:
        return run
    choice = choose_linear_term(
        run.model,
        run.objective,
        run.examples.train,
        held_out,
        settings,
        workers,
        refit=not plan.data.validation,
    )
    if choice is None:
        return run
    workers.run_on_main(
        lambda: folder.save_model(folder.load_best_weights(), choice.saved, run.start.folder)
    )
    return dataclasses.replace(run, objective=choice.evaluated)


def _describe_linear_term(run: PreparedRun) -> str | None:
    """What the linear term of the head is, for the top of the report."""
    term = None if run.objective.head is None else run.objective.head.linear_term
    if term is None:
        return None
    match term.features:
        case "counts" if isinstance(term, NgramTerm):
            features = f"n-grams of up to {term.longest} tokens"
        case "moments":
            features = "the mean, deviation and maximum of each channel"
        case "summary":
            features = "statistics of each channel"
        case _:
            features = "what is at each position"
    return (
        f"The outputs are {term.layers_scale:.2f} times those of the encoder's head, plus those of "
        f"a linear model of {features}."
    )


def _describe_truncation(plan: TrainingPlan, run: PreparedRun) -> str | None:
    """The share of rows that were truncated, for the top of the report."""
    if plan.task not in ("classify", "regress"):
        return None
    folder = run.start.folder
    return run.examples.losses.describe_truncation(
        run.data.num_training + run.data.num_held_out,
        max_length=folder.spec.max_length,
        # A new model can be as long as needed; this is what most texts fit into.
        longest=LARGEST_MAX_LENGTH if run.start.from_scratch else folder.config.max_length,
    )


def _cross_validate(
    plan: TrainingPlan,
    run: PreparedRun,
    scratch: Path,
    workers: Workers,
    open_stage: Stage,
    how_to_resume: str,
) -> ModelComparison | None:
    """The score on all rows, if the plan asks for folds; on the main process only."""
    folds = plan.settings.folds
    if folds is None:
        return None
    place = scratch / "folds"
    place.mkdir()
    with open_stage(f"cross-validating in {folds} folds") as report:
        return cross_validate(
            plan,
            run,
            folds,
            place,
            workers,
            how_to_resume=how_to_resume,
            progress=lambda done: report(done / folds),
        )


def _compare(
    run: PreparedRun,
    held_out: HeldOutResults | None,
    settings: ResolvedSettings,
    workers: Workers,
    scratch: Path,
    open_stage: Stage,
) -> ModelComparison | None:
    """The score on the held-out rows beside those of simple models on the same rows."""
    if held_out is None or held_out.scores is None:
        return None
    head = run.objective.head
    if head is None:
        return describe_score(held_out.scores)
    with open_stage("fitting simple models"):
        vectors = None
        if settings.simple_models:
            vectors = probe_vectors(run.start, head, run.examples, settings, workers, scratch)
        rows = predict_with_simple_models(
            run.data,
            run.examples,
            held_out.evaluated,
            held_out.order,
            head=head,
            seed=settings.seed,
            vectors=vectors,
            simple_models=settings.simple_models,
        )
        return compare_rows(rows, head)


def _check_out(plan: TrainingPlan, *, resume: bool, overwrite: bool) -> None:
    """Check early that the folder is free, or contains a run to resume or to overwrite."""
    out = Path(plan.out)
    if out.exists() and not out.is_dir():
        raise DataFileError(f"{out}: is a file; expected a folder")
    if overwrite:
        check_replaceable(out)
        source = () if plan.source is None else (plan.source,)
        alphabet = () if plan.new_model.alphabet is None else (plan.new_model.alphabet,)
        check_inputs_outside(out, (*plan.files, *plan.data.validation, *source, *alphabet))
    elif not resume and out.is_dir() and any(p.name != LOCK_FILE for p in out.iterdir()):
        raise DataFileError(
            f"{out}: exists and is not empty; resume its run with --resume "
            "(resume=True), replace it with --overwrite, or choose another folder"
        )
    if resume and not out.is_dir():
        raise CheckpointError(f"{out}: no run to resume: {RUN_FILE} is missing")


def _nothing(_: str) -> None:
    pass

"""A whole training run, as `bothways train` makes it: from files to a model folder with a report.

Read, check and split the data; load or create the model; tokenize; train; evaluate the held-out
data; write the report.
"""

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bothways.checkpoints import resolve
from bothways.checkpoints.reader_files import READER_FILES
from bothways.errors import CheckpointError, ConfigError, DataFileError, TruncationWarning
from bothways.model.packing import plan_batches
from bothways.training.data.dataset import Dataset
from bothways.training.data.examples import PackedExamples
from bothways.training.data.source import ShareCallback
from bothways.training.data.training_data import SplitExamples, TrainingData
from bothways.training.distributed.processes import Workers, join_workers
from bothways.training.engine.evaluation import evaluate
from bothways.training.engine.loop import TrainingResult, fit
from bothways.training.model import TrainedModel
from bothways.training.objectives.objective import Objective
from bothways.training.objectives.pairs import PairObjective
from bothways.training.plan import TrainingPlan
from bothways.training.report import HeldOutResults, write_report
from bothways.training.report.summary import (
    describe_data,
    describe_model,
    held_out_name,
    provenance,
    run_overview,
)
from bothways.training.runs.events import METRICS_FILE, EventCallback, read_events
from bothways.training.runs.folder import RUN_FILE
from bothways.training.runs.lock import LOCK_FILE, run_lock
from bothways.training.runs.overwriting import check_inputs_outside, check_replaceable
from bothways.training.setup.base_model import (
    BaseModel,
    create_base_model,
    has_reader,
    load_base_model,
    write_reader,
)
from bothways.training.setup.build import build_model, build_objective, head_labels

__all__ = ["FinishedRun", "train"]

Notify = Callable[[str], None]
"""Called on the main process with messages for the user, one line each."""

Stage = Callable[[str], AbstractContextManager[ShareCallback]]
"""Opens a context for a stage of the given name; it yields a callback for the stage's progress."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A finished run.

    folder: the folder of the trained model. report: the path of report.md. result: of the loop.
    metrics: the objective's metrics on the held-out data; None without held-out data.
    """

    folder: Path
    report: Path
    result: TrainingResult
    metrics: Mapping[str, float] | None


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
        open_stage = stage if stage is not None and workers.is_main else _hidden_stage
        existing = out if resume else None
        run = _prepare(plan, existing, Path(scratch), workers, notify, open_stage)
        _warn_about_losses(run.examples, run.start.folder.spec.max_length, workers)
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
            resume=resume,
            overwrite=overwrite,
            how_to_resume=how_to_resume,
            progress=progress,
        )
        held_out = _evaluate(run, result, workers)
        report = workers.run_on_main(
            lambda: write_report(
                out,
                run.objective,
                held_out,
                overview=run_overview(plan, run.data, run.start, result),
                settings=result.settings.to_dict(),
                events=read_events(out / METRICS_FILE),
            )
        )
    return FinishedRun(
        folder=out,
        report=report,
        result=result,
        metrics=None if held_out is None else held_out.metrics,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Prepared:
    """Everything that a run needs before its first step."""

    data: TrainingData
    start: BaseModel
    examples: SplitExamples
    objective: Objective
    model: TrainedModel

    @cached_property
    def train(self) -> Dataset:
        return self.examples.train.to_dataset()

    @cached_property
    def validation(self) -> Dataset | None:
        held_out = self.examples.validation
        return None if held_out is None else held_out.to_dataset()


def _prepare(
    plan: TrainingPlan,
    existing: Path | None,
    scratch: Path,
    workers: Workers,
    notify: Notify,
    open_stage: Stage,
) -> _Prepared:
    """Read the data and build the model without writing anything but into `scratch`."""
    seed, new_model = plan.settings.seed, plan.new_model
    base = None
    if plan.source is not None:
        base = load_base_model(
            resolve(plan.source), fields=new_model.fields, max_length=new_model.max_length
        )
    kind = base.reader.kind if base else new_model.kind
    with open_stage("reading") as report:
        data = TrainingData.read(
            plan.task,
            plan.files,
            plan.data,
            kind=kind,
            preferred=head_labels(plan.task, base),
            pair_loss=plan.objective.loss,
            seed=seed,
            report=report,
        )
    notify(describe_data(data))
    start = base or _create_base_model(plan, data, existing, scratch, workers, open_stage)
    with open_stage("tokenizing") as report:
        examples = data.tokenize(start.reader, start.folder.spec.max_length, report=report)
    objective = build_objective(plan.task, plan.objective, start, data.survey, examples.train)
    if isinstance(objective, PairObjective):
        notify(objective.description)
    model = build_model(objective, start, seed=seed)
    notify(describe_model(plan, start))
    return _Prepared(data, start, examples, objective, model)


def _create_base_model(
    plan: TrainingPlan,
    data: TrainingData,
    existing: Path | None,
    scratch: Path,
    workers: Workers,
    open_stage: Stage,
) -> BaseModel:
    """Create a new model. The main process builds its vocabulary, and all processes read it.

    existing: the folder of a resumed run, which already has a vocabulary.
    """
    kind, new_model = data.source.kind, plan.new_model

    def reader_files() -> dict[str, bytes]:
        if existing is not None and has_reader(existing, kind):
            folder = existing
        else:
            folder = scratch
            with open_stage("building a vocabulary") as report:
                write_reader(folder, kind, new_model, plan.task, partial(data.sequences, report))
        paths = (folder / name for name in READER_FILES)
        return {path.name: path.read_bytes() for path in paths if path.is_file()}

    for name, content in workers.run_on_main(reader_files).items():
        (scratch / name).write_bytes(content)
    return create_base_model(
        scratch, kind, new_model, plan.task, longest=data.survey.longest, seed=plan.settings.seed
    )


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


def _warn_about_losses(examples: SplitExamples, max_length: int, workers: Workers) -> None:
    if not workers.is_main:
        return
    if examples.truncated:
        warnings.warn(
            f"{examples.truncated:,} sequences are longer than {max_length} positions and were "
            "truncated",
            TruncationWarning,
            stacklevel=3,
        )
    if examples.words_without_token:
        warnings.warn(
            f"{examples.words_without_token:,} tagged words have no token in this "
            "vocabulary, and are ignored",
            stacklevel=3,
        )


def _evaluate(run: _Prepared, result: TrainingResult, workers: Workers) -> HeldOutResults | None:
    """Evaluate the best weights on the held-out data; the result is on the main process only."""
    dataset, held_out = run.validation, run.examples.validation
    if dataset is None or held_out is None:
        return None
    settings = result.settings
    evaluated = evaluate(run.model, run.objective, dataset, settings, workers)
    if not workers.is_main:
        return None
    return HeldOutResults(
        name=held_out_name(run.data),
        chose_weights=True,
        evaluated=evaluated,
        metrics=run.objective.metrics(evaluated),
        dataset=dataset,
        order=np.concatenate(list(plan_batches(dataset.lengths, settings.micro_tokens))),
        text_of=_HeldOutTexts(run.data, held_out).text,
    )


class _HeldOutTexts:
    """The texts of held-out examples, read from their files at the first access."""

    def __init__(self, data: TrainingData, examples: PackedExamples) -> None:
        self._data, self._examples = data, examples

    @cached_property
    def _texts(self) -> dict[tuple[str, int], str]:
        return self._data.validation_texts()

    def text(self, index: int) -> str:
        """An example in one line of text."""
        place = self._examples.place(index)
        return self._texts[place.file, place.row]


def _nothing(_: object) -> None:
    pass


def _hidden_stage(_: str) -> AbstractContextManager[ShareCallback]:
    return nullcontext(_nothing)

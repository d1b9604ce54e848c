"""From files to a trained model folder with its report: what `bothways train` does.

Read, check and split the data; start a model; tokenize; train; evaluate what was held out; report.
"""

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from bothways.checkpoints import resolve
from bothways.errors import CheckpointError, DataFileError, TruncationWarning
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
from bothways.training.plan import TrainingPlan
from bothways.training.report import HeldOutResults, write_report
from bothways.training.report.summary import about, counted, described, facts, held_out_name
from bothways.training.runs.events import METRICS_FILE, EventCallback, read_events
from bothways.training.runs.folder import RUN_FILE
from bothways.training.setup.base_model import (
    BaseModel,
    create_base_model,
    has_reader,
    load_base_model,
    write_reader,
)
from bothways.training.setup.build import build_model, build_objective, head_labels

__all__ = ["FinishedRun", "train"]

Tell = Callable[[str], None]
"""Called on the main process with what is worth knowing on the way, a line at a time."""

Stage = Callable[[str], AbstractContextManager[ShareCallback]]
"""Given the name of what may take a while, the context of it, with what hears of its progress."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A finished run.

    folder: the trained model. report: the path of its report. result: how the training went.
    metrics: the objective's figures on what was held out; None where nothing was.
    """

    folder: Path
    report: Path
    result: TrainingResult
    metrics: Mapping[str, float] | None


def train(
    plan: TrainingPlan,
    *,
    resume: bool = False,
    how_to_resume: str = "resume=True",
    progress: EventCallback | None = None,
    tell: Tell | None = None,
    stage: Stage | None = None,
) -> FinishedRun:
    """Make a run of a plan, and of its folder `plan.out` a model folder with a report.

    resume: go on with the run that is in the folder. how_to_resume: what messages call that.
    progress: called with each step and validation. tell: with lines about the data and the model.
    stage: called with what is done before the first step, to show how far that is.

    Raises:
        DataFileError: naming file, row and column of data that cannot be learned from, before
            anything is trained; or if the folder is taken or cannot be written.
        ConfigError, InputError: if the plan contradicts itself, the data or the model.
        SourceError, CheckpointError: if the model to start from cannot be had, or the run not be
            resumed.
        TrainingInterrupted, TrainingDiverged, BackendError: as `loop.fit`.
    """
    out = Path(plan.out)
    with join_workers(plan.settings.device) as workers:
        say = tell if tell is not None and workers.is_main else _nothing
        workers.run_on_main(lambda: _check_out(out, resume=resume))
        within = stage if stage is not None and workers.is_main else _unseen
        run = _prepare(plan, out, workers, say, within)
        _warn_of_losses(run.examples, run.start.folder.max_length, workers)
        result = fit(
            run.model,
            run.objective,
            run.train,
            run.validation,
            plan.settings,
            out,
            template=run.start.folder,
            from_scratch=run.start.from_scratch,
            about=about(plan, run.data, run.start),
            resume=resume,
            how_to_resume=how_to_resume,
            progress=progress,
        )
        held_out = _evaluate(run, result, workers)
        report = workers.run_on_main(
            lambda: write_report(
                out,
                run.objective,
                held_out,
                facts=facts(plan, run.data, run.start, result),
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
    """All that a run needs, before its first step."""

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
    plan: TrainingPlan, out: Path, workers: Workers, say: Tell, within: Stage
) -> _Prepared:
    seed, new_model = plan.settings.seed, plan.new_model
    own = None
    if plan.source is not None:
        own = load_base_model(
            resolve(plan.source), fields=new_model.fields, max_length=new_model.max_length
        )
    kind = own.reader.kind if own else new_model.kind
    with within("reading") as report:
        data = TrainingData.read(
            plan.task,
            plan.files,
            plan.data,
            kind=kind,
            preferred=head_labels(plan.task, own),
            seed=seed,
            report=report,
        )
    say(counted(data))
    start = own or _start_fresh(plan, data, out, workers, within)
    with within("tokenizing") as report:
        examples = data.tokenize(start.reader, start.folder.max_length, report=report)
    objective = build_objective(plan.task, plan.objective, start, data.survey, examples.train)
    model = build_model(objective, start, seed=seed)
    say(described(plan, start))
    return _Prepared(data, start, examples, objective, model)


def _start_fresh(
    plan: TrainingPlan, data: TrainingData, out: Path, workers: Workers, within: Stage
) -> BaseModel:
    """A fresh model; its vocabulary is made once, and read by all processes from the run's folder.

    A run that goes on has one there already.
    """
    kind, new_model = data.source.kind, plan.new_model

    def make_reader() -> None:
        if not has_reader(out, kind):
            out.mkdir(parents=True, exist_ok=True)
            with within("making a vocabulary") as report:
                write_reader(out, kind, new_model, plan.task, partial(data.sequences, report))

    workers.run_on_main(make_reader)
    return create_base_model(
        out, kind, new_model, plan.task, longest=data.survey.longest, seed=plan.settings.seed
    )


def _check_out(out: Path, *, resume: bool) -> None:
    """Before hours of work, see that the folder is free, or that there is something to resume."""
    if out.exists() and not out.is_dir():
        raise DataFileError(f"{out}: is a file; give the name of a folder")
    if not resume and out.is_dir() and any(out.iterdir()):
        raise DataFileError(
            f"{out}: exists and is not empty; go on with the run that is there with --resume "
            "(resume=True), or choose another folder"
        )
    if resume and not out.is_dir():
        raise CheckpointError(f"{out}: there is no run to resume: no {RUN_FILE}")


def _warn_of_losses(examples: SplitExamples, max_length: int, workers: Workers) -> None:
    if not workers.is_main:
        return
    if examples.truncated:
        warnings.warn(
            f"{examples.truncated:,} sequences are longer than {max_length} positions and were cut",
            TruncationWarning,
            stacklevel=3,
        )
    if examples.untagged:
        warnings.warn(
            f"{examples.untagged:,} tagged words have no token in this vocabulary, and are not "
            "learned from",
            stacklevel=3,
        )


def _evaluate(run: _Prepared, result: TrainingResult, workers: Workers) -> HeldOutResults | None:
    """The kept weights on what was held out, for the report; on the main process alone."""
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
        text_of=_Texts(run.data, held_out).of,
    )


class _Texts:
    """The texts of what was held out, read from its files again when the first is wanted."""

    def __init__(self, data: TrainingData, examples: PackedExamples) -> None:
        self._data, self._examples = data, examples

    @cached_property
    def _texts(self) -> dict[tuple[str, int], str]:
        return self._data.texts_held_out()

    def of(self, index: int) -> str:
        """What shows an example in a line."""
        place = self._examples.place(index)
        return self._texts[place.file, place.row]


def _nothing(_: object) -> None:
    pass


def _unseen(_: str) -> AbstractContextManager[ShareCallback]:
    return nullcontext(_nothing)

"""Preparation of a run: from a plan to the data, the objective and the model to train."""

import dataclasses
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

from bothways.checkpoints import resolve
from bothways.checkpoints.reader_files import READER_FILES
from bothways.errors import ConfigError
from bothways.training.data.dataset import Dataset
from bothways.training.data.source import Stage
from bothways.training.data.training_data import SplitExamples, TrainingData
from bothways.training.distributed.processes import Workers
from bothways.training.engine.head_first import train_head
from bothways.training.engine.run_settings import resolve_run_settings
from bothways.training.linear_term.choosing import MAX_ROWS, obstacle
from bothways.training.model import TrainedModel
from bothways.training.objectives.objective import Objective
from bothways.training.objectives.pairs import PairObjective
from bothways.training.plan import TrainingPlan
from bothways.training.report.summary import describe_data, describe_model, describe_steps
from bothways.training.settings import TrainingSettings
from bothways.training.setup.base_model import (
    BaseModel,
    check_positions,
    create_base_model,
    has_reader,
    load_base_model,
    write_reader,
)
from bothways.training.setup.build import build_model, build_objective, has_head, head_labels
from bothways.training.setup.sizes import DataShape, choose_defaults

__all__ = ["Notify", "PreparedRun", "prepare", "prepare_on"]

Notify = Callable[[str], None]
"""Called on the main process with messages for the user, one line each."""


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedRun:
    """Everything that a run needs before its first step."""

    data: TrainingData
    start: BaseModel
    examples: SplitExamples
    objective: Objective
    model: TrainedModel

    def needs_head(self, settings: TrainingSettings) -> bool:
        """Whether the head is trained before the encoder: a new one, on a pretrained encoder."""
        head = self.objective.head
        if self.start.from_scratch or not settings.head_first or settings.frozen:
            return False
        return head is not None and bool(head.labels) and not has_head(self.start, head)

    def tries_linear_term(self, settings: TrainingSettings) -> bool:
        """Whether the head of the trained model may get a linear term.

        Raises:
            ConfigError: if the settings ask for one, and the model cannot have it.
        """
        asked, train = settings.linear_term, self.examples.train
        if asked is False:
            return False
        why_not = obstacle(self.objective, train, self.examples.validation, settings)
        if asked and why_not:
            raise ConfigError(f"linear_term: {why_not}")
        return why_not is None and (asked is True or len(train) <= MAX_ROWS)

    def train_head(self, settings: TrainingSettings, workers: Workers, folder: Path) -> None:
        """Train the head on the frozen encoder; every process calls this.

        folder: for temporary files.
        """
        config = self.start.folder.config
        if workers.is_main:
            train_head(self.model, self.objective, self.train, settings, config, workers, folder)

    @cached_property
    def train(self) -> Dataset:
        """The training examples."""
        return self.examples.train.to_dataset()

    @cached_property
    def validation(self) -> Dataset | None:
        """The held-out examples, if there are any."""
        held_out = self.examples.validation
        return None if held_out is None else held_out.to_dataset()


def prepare(
    plan: TrainingPlan,
    existing: Path | None,
    scratch: Path,
    workers: Workers,
    notify: Notify,
    open_stage: Stage,
) -> PreparedRun:
    """Read the data and build the model without writing anything but into `scratch`."""
    seed, new_model = plan.settings.seed, plan.new_model
    base = None
    if plan.source is not None:
        base = load_base_model(
            resolve(plan.source),
            fields=new_model.fields,
            max_length=new_model.max_length,
            options=plan,
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
    for source in (data.source, data.validation.source) if data.validation else (data.source,):
        for line in source.delimiter_notes():
            notify(line)
    notify(describe_data(data))
    run = prepare_on(data, plan, base, existing, scratch, workers, open_stage)
    if isinstance(run.objective, PairObjective):
        notify(run.objective.description)
    notify(describe_model(run.start, plan.source))
    lengths, config = run.train.lengths, run.start.folder.config
    settings = resolve_run_settings(
        plan.settings, lengths, config, from_scratch=run.start.from_scratch, workers=workers
    )
    notify(describe_steps(settings, lengths, workers.device))
    return run


def prepare_on(
    data: TrainingData,
    plan: TrainingPlan,
    base: BaseModel | None,
    existing: Path | None,
    scratch: Path,
    workers: Workers,
    open_stage: Stage,
) -> PreparedRun:
    """Build the model for data that has been read, and tokenize it.

    base: the model to fine-tune; None to create one.
    """
    start = base or _create_base_model(plan, data, existing, scratch, workers, open_stage)
    check_positions(plan.task, start.reader)
    with open_stage("tokenizing") as report:
        examples = data.tokenize(start.reader, start.folder.spec.max_length, report=report)
    objective = build_objective(plan.task, plan.objective, start, data.survey, examples.train)
    model = build_model(objective, start, seed=plan.settings.seed)
    return PreparedRun(data, start, examples, objective, model)


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
    kind, survey = data.source.kind, data.survey
    shape = DataShape(data.num_training, survey.shortest, survey.longest)
    new_model = choose_defaults(plan.new_model, kind, plan.task, shape)

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
        scratch,
        kind,
        new_model,
        plan.task,
        longest=survey.longest,
        seed=plan.settings.seed,
    )

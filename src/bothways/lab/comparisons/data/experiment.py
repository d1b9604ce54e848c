"""How right, how fast and how large each encoder is on labeled rows of one's own.

The rows are read, checked and tokenized as `bothways train` does it, once for all encoders; each
encoder is then trained with the same budget of tokens, at the rate of the same grid that suits it.
"""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from bothways.errors import ConfigError, DataFileError
from bothways.lab.comparison import Progress, part
from bothways.lab.fitting import LEARNING_RATES, Search, search
from bothways.lab.registry import Labeled
from bothways.model.baselines import EncoderName
from bothways.nn.baselines import count_parameters
from bothways.training.data.dataset import Dataset
from bothways.training.data.training_data import TrainingData
from bothways.training.engine.evaluation import evaluate
from bothways.training.engine.microbatches import to_device
from bothways.training.engine.rng import generator
from bothways.training.engine.sampler import StepSampler
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.objective import Evaluation, Objective
from bothways.training.options.data import DataOptions
from bothways.training.options.new_model import NewModelOptions, SizeName
from bothways.training.options.objective import ObjectiveOptions
from bothways.training.resolved_settings import ResolvedSettings, resolve_settings
from bothways.training.settings import TrainingSettings
from bothways.training.setup.base_model import BaseModel, create_base_model, write_reader
from bothways.training.setup.build import build_model, build_objective

__all__ = ["DataResult", "DataSettings", "Found", "Plan", "run_data"]

_WEIGHT = "weight of the batch"

LEAST_STEPS = 200
"""Of a run, where its tokens suffice for as many: with fewer, none of the encoders learns much."""

LEAST_TOKENS = 256
"""Of a step."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSettings:
    """What is compared.

    file: of labeled rows, as `bothways train` takes it. task: what is learned of them.
    column, label: columns of the file; empty for those with usual names.
    alphabet: of sequences of symbols, as `bothways train` takes it; empty for text and series.
    encoders: of `baselines.EncoderName`.
    tokens: that each run learns from, and epochs: as often as it sees a row at most.
    held_out: share of the rows that is not learned from: one half of it chooses the rates, and on
        the other half the scores are taken; judged: rows of each half at most.
    size: of the Transformer, and of the vocabulary of texts; the others have as many weights.
    seeds: of weights and order; the first chooses the rate, of `rates`. The split is always one.

    Raises:
        ConfigError: naming the field, its value, and what it may be.
    """

    file: str = ""
    task: Labeled = "classify"
    column: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    alphabet: str = ""
    encoders: tuple[str, ...] = ("transformer", "rnn", "lstm", "gru", "convolution", "bag")
    tokens: int = 150_000
    epochs: int = 20
    held_out: float = 0.2
    judged: int = 2000
    size: SizeName = "tiny"
    seeds: tuple[int, ...] = (0, 1, 2)
    rates: tuple[float, ...] = LEARNING_RATES

    def __post_init__(self) -> None:
        known = get_args(EncoderName)
        for name in self.encoders:
            if name not in known:
                raise ConfigError(f"encoder {name!r}: expected one of {', '.join(known)}")
        if self.task not in get_args(Labeled):
            raise ConfigError(f"task={self.task!r}: expected one of {', '.join(get_args(Labeled))}")
        for field in ("encoders", "seeds", "rates"):
            values = getattr(self, field)
            if not values or len(set(values)) < len(values):
                raise ConfigError(f"{field}={values}: expected at least one, and none twice")
        for field in ("tokens", "epochs", "judged"):
            if getattr(self, field) < 1:
                raise ConfigError(f"{field}={getattr(self, field)}: expected at least 1")
        if not 0 < self.held_out < 1:
            raise ConfigError(f"held_out={self.held_out}: expected a share, above 0 and below 1")


@dataclasses.dataclass(frozen=True)
class Found:
    """What was found of an encoder.

    weights: with the head. layers, rate: as it says. tried: the scores that chose the rate.
    scores: on the rows that are reported on, by seed. seconds: of training, by seed.
    tokens_per_second: while those rows were encoded and judged, by seed.
    finished: whether no run ended early, at a number that was not finite.
    """

    weights: int
    layers: int
    rate: float
    tried: Mapping[float, float]
    scores: tuple[float, ...]
    seconds: tuple[float, ...]
    tokens_per_second: tuple[float, ...]
    finished: bool


@dataclasses.dataclass(frozen=True)
class DataResult:
    """What was found of all encoders.

    metric: what a score is; higher is better. guess: the score of always giving the most frequent
    label, or the mean; None where that has none. rows: to learn from, to choose by, to judge by.
    names: of the labels. steps, tokens: of each run, about. found: by encoder.
    """

    settings: DataSettings
    metric: str
    guess: float | None
    rows: tuple[int, int, int]
    names: tuple[str, ...]
    steps: int
    tokens: int
    found: Mapping[str, Found]

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return own | {
            "settings": dataclasses.asdict(self.settings),
            "found": {
                name: dataclasses.asdict(found)
                | {"tried": {str(rate): score for rate, score in found.tried.items()}}
                for name, found in self.found.items()
            },
        }


@dataclasses.dataclass(frozen=True, eq=False)
class _Rows:
    """The file, tokenized: rows to learn from, to choose the rate by, and to judge by.

    start: a fresh model with the encoder of that name and a seed. objective: for such a start.
    """

    train: Dataset
    choosing: Dataset
    judging: Dataset
    names: tuple[str, ...]
    most_frequent: int
    start: Callable[[EncoderName, int], BaseModel]
    objective: Callable[[BaseModel], Objective]


def run_data(settings: DataSettings, progress: Progress) -> DataResult:
    """Train every encoder on the file, and judge it.

    Raises:
        DataFileError: naming file, row and column of what cannot be learned from.
    """
    progress(f"reading {Path(settings.file).name}", 0.0)
    with TemporaryDirectory() as scratch:
        rows = _read(settings, Path(scratch))
        plan = Plan.of(settings, rows.train)
        chosen = [name for name in get_args(EncoderName) if name in settings.encoders]
        found: dict[str, Found] = {}
        guess, metric = None, ""
        for number, name in enumerate(chosen):
            told = part(progress, f"training {name}", number / len(chosen), 1 / len(chosen))
            contest = _Contest(settings, rows, plan, name, told)
            found[name], metric = contest.found(), contest.metric
            guess = contest.guess()
    return DataResult(
        settings=settings,
        metric=metric,
        guess=guess,
        rows=(len(rows.train), len(rows.choosing), len(rows.judging)),
        names=rows.names,
        steps=plan.steps,
        tokens=round(plan.steps / plan.order(0).steps_per_epoch * int(rows.train.lengths.sum())),
        found=found,
    )


def _read(settings: DataSettings, scratch: Path) -> _Rows:
    options = DataOptions(
        columns=settings.column, labels=settings.label, held_out=settings.held_out
    )
    fresh = NewModelOptions(size=settings.size, alphabet=settings.alphabet or None)
    data = TrainingData.read(settings.task, [settings.file], options, kind=fresh.kind, seed=0)
    kind = data.source.kind
    write_reader(scratch, kind, fresh, settings.task, data.sequences)

    def start(encoder: EncoderName, seed: int) -> BaseModel:
        own = dataclasses.replace(fresh, encoder=encoder)
        longest = data.survey.longest
        return create_base_model(scratch, kind, own, settings.task, longest=longest, seed=seed)

    first = start("transformer", 0)
    examples = data.tokenize(first.reader, first.folder.max_length)
    held_out = None if examples.validation is None else examples.validation.to_dataset()
    if held_out is None or len(held_out) < 2:
        raise DataFileError(f"{settings.file}: too few rows to hold any out")
    order = generator(0, "validation").permutation(len(held_out))
    halves = (order[::2][: settings.judged], order[1::2][: settings.judged])
    choosing, judging = (
        Dataset([held_out[i] for i in half.tolist()], held_out.lengths[half]) for half in halves
    )
    return _Rows(
        train=examples.train.to_dataset(),
        choosing=choosing,
        judging=judging,
        names=data.survey.labels,
        most_frequent=int(np.argmax(data.survey.counts)) if len(data.survey.counts) else 0,
        start=start,
        objective=lambda start: build_objective(
            settings.task, ObjectiveOptions(), start, data.survey, examples.train
        ),
    )


@dataclasses.dataclass(frozen=True)
class Plan:
    """The steps of every run: as large as `bothways train` makes them, or smaller lest they be few,
    and as many as are paid for.
    """

    lengths: np.ndarray
    resolved: ResolvedSettings
    steps: int

    @classmethod
    def of(cls, settings: DataSettings, train: Dataset) -> "Plan":
        """Of the rows to learn from."""
        usual = resolve_settings(
            TrainingSettings(), train.lengths, from_scratch=True, gpu=False, bf16=False
        )
        total = int(train.lengths.sum())
        epochs = min(settings.tokens / total, settings.epochs)
        small = max(round(epochs * total / LEAST_STEPS), LEAST_TOKENS)
        resolved = dataclasses.replace(usual, batch_tokens=min(usual.batch_tokens, small))
        plan = cls(train.lengths, resolved, 0)
        steps = math.ceil(epochs * plan.order(0).steps_per_epoch)
        return dataclasses.replace(plan, steps=steps)

    def order(self, seed: int) -> StepSampler:
        """The order of a seed; a step is one batch."""
        tokens = self.resolved.batch_tokens
        return StepSampler(
            self.lengths, batch_tokens=tokens, micro_tokens=int(self.lengths.sum()), seed=seed
        )


class _Contest:
    """One encoder's runs."""

    def __init__(
        self,
        settings: DataSettings,
        rows: _Rows,
        plan: Plan,
        name: EncoderName,
        told: Callable[[float], None],
    ) -> None:
        self.settings, self.rows, self.plan, self.name = settings, rows, plan, name
        start = rows.start(name, settings.seeds[0])
        self.num_layers = start.folder.config.num_layers
        self.objective = rows.objective(start)
        self.metric = "r2" if settings.task == "regress" else self.objective.monitor.metric
        self._told = told
        self._order = functools.cache(plan.order)

    def found(self) -> Found:
        """Search for the rate, train from every seed, and judge."""
        trained: Search[TrainedModel] = search(
            self._build,
            self._batch,
            self._loss,
            lambda model: self._score(self._judge(model, self.rows.choosing)),
            steps=self.plan.steps,
            seeds=self.settings.seeds,
            rates=self.settings.rates,
            told=self._told,
        )
        scores, speeds = [], []
        for model in trained.models:
            begun = time.perf_counter()
            scores.append(self._score(self._judge(model, self.rows.judging)))
            speeds.append(int(self.rows.judging.lengths.sum()) / (time.perf_counter() - begun))
        return Found(
            weights=count_parameters(trained.models[0]),
            layers=self.num_layers,
            rate=trained.rate,
            tried=trained.scores,
            scores=tuple(scores),
            seconds=tuple(fitted.seconds for fitted in trained.fitted),
            tokens_per_second=tuple(speeds),
            finished=all(fitted.finished for fitted in trained.fitted),
        )

    def guess(self) -> float | None:
        """The score of who knows no sequence."""
        if self.metric == "r2":
            return 0.0
        if self.metric != "accuracy":
            return None
        examples = [self.rows.judging[i] for i in range(len(self.rows.judging))]
        targets = self.objective.prepare(examples, generator(0, "targets")).targets["labels"]
        return float(np.mean(targets == self.rows.most_frequent))

    def _build(self, seed: int) -> TrainedModel:
        return build_model(self.objective, self.rows.start(self.name, seed), seed=seed)

    def _batch(self, seed: int, step: int) -> Batch:
        (indices,) = self._order(seed).batches(step)
        examples = [self.rows.train[index] for index in indices.tolist()]
        prepared = self.objective.prepare(examples, generator(seed, "targets", step, 0))
        batch = to_device(prepared, torch.device("cpu"))
        weight = torch.tensor(prepared.weight)
        return dataclasses.replace(batch, targets={**batch.targets, _WEIGHT: weight})

    def _loss(self, model: TrainedModel, batch: Batch) -> Tensor:
        return self.objective.loss(model, batch) / batch.targets[_WEIGHT]

    def _judge(self, model: TrainedModel, data: Dataset) -> Evaluation:
        return evaluate(model, self.objective, data, self.plan.resolved)

    def _score(self, evaluated: Evaluation) -> float:
        return self.objective.metrics(evaluated)[self.metric]

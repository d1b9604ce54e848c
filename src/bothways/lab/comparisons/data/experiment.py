"""Measure the score, speed and size of each encoder on a file of labeled rows.

Rows are read, checked and tokenized once, as in `bothways train`. Each encoder is then trained on
the same budget of tokens, at the best learning rate of the same grid.
"""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from bothways.lab.comparison import ComparisonProgress, progress_within
from bothways.lab.comparisons.data.rows import ComparisonRows, read_rows
from bothways.lab.comparisons.data.settings import DataSettings
from bothways.lab.parameter_counts import ParameterCounts
from bothways.lab.training import LearningRateSearch, search_learning_rate
from bothways.model.baselines import EncoderName
from bothways.model.packing import plan_batches
from bothways.training.data.dataset import Dataset
from bothways.training.engine.evaluation import evaluate
from bothways.training.engine.microbatches import to_device
from bothways.training.engine.rng import generator
from bothways.training.engine.sampler import StepSampler
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.objective import Evaluation
from bothways.training.resolved_settings import ResolvedSettings, resolve_settings
from bothways.training.settings import TrainingSettings
from bothways.training.setup.build import build_model
from bothways.training.simple_models.comparison import score_model, score_predictions
from bothways.training.simple_models.scores import (
    Interval,
    RowScores,
    ScoreDifference,
    compare_over_seeds,
    interval_over_seeds,
)

__all__ = [
    "DataResult",
    "EncoderScores",
    "SimpleScore",
    "TrainingBudget",
    "has_converged",
    "run_data",
]

_TARGET_WEIGHT = "weight of all targets"
"""The batch entry by which a summed loss is divided to give the mean."""

MIN_STEPS = 200
"""Steps per run, if there are enough tokens: with fewer steps, no encoder learns much."""

MIN_BATCH_TOKENS = 256


@dataclasses.dataclass(frozen=True)
class EncoderScores:
    """The result of one encoder.

    learning_rate: the best one, by `validation_scores`: of the first seed at each rate.
    scores: on the test rows, by seed. seconds: of training, by seed.
    tokens_per_second: while scoring the test rows, by seed.
    finished: False if a run stopped early, at a NaN or infinite loss.
    interval: of the mean score over seeds and test rows, at 95 %.
    converged: whether the training loss of every seed has settled; see `has_converged`.
    """

    parameters: ParameterCounts
    layers: int
    learning_rate: float
    validation_scores: Mapping[float, float]
    scores: tuple[float, ...]
    seconds: tuple[float, ...]
    tokens_per_second: tuple[float, ...]
    finished: bool
    interval: Interval
    converged: bool


@dataclasses.dataclass(frozen=True)
class SimpleScore:
    """The score of a simple model on the test rows, and its 95 % interval."""

    score: float
    interval: Interval


@dataclasses.dataclass(frozen=True)
class DataResult:
    """The result of all encoders.

    metric: of the scores; higher is better. baseline_score: of always predicting the most frequent
        label, or the mean; None for metrics without one. rows: for training, validation and test.
    label_names: of classes, tags or number columns. steps, tokens: of each run, approximately.
    simple: simple models by name, without those that predict a constant. differences: of the best
        of all, which has none, and each of the others, by name.
    """

    settings: DataSettings
    metric: str
    baseline_score: float | None
    rows: tuple[int, int, int]
    label_names: tuple[str, ...]
    steps: int
    tokens: int
    encoders: Mapping[str, EncoderScores]
    simple: Mapping[str, SimpleScore] = dataclasses.field(default_factory=dict)
    differences: Mapping[str, ScoreDifference] = dataclasses.field(default_factory=dict)

    @property
    def ranked(self) -> list[str]:
        """The names of encoders and simple models by mean score, the best first."""
        means = {name: float(np.mean(each.scores)) for name, each in self.encoders.items()}
        means |= {name: each.score for name, each in self.simple.items()}
        return sorted(means, key=lambda name: -means[name])

    def to_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return fields | {
            "settings": dataclasses.asdict(self.settings),
            "simple": {name: dataclasses.asdict(each) for name, each in self.simple.items()},
            "differences": {
                name: dataclasses.asdict(each) for name, each in self.differences.items()
            },
            "encoders": {
                name: dataclasses.asdict(encoder)
                | {
                    "validation_scores": {
                        str(rate): score for rate, score in encoder.validation_scores.items()
                    }
                }
                for name, encoder in self.encoders.items()
            },
        }


def run_data(settings: DataSettings, progress: ComparisonProgress) -> DataResult:
    """Train every encoder on the file, and score it.

    Raises:
        DataFileError: naming the file, row and column of invalid data.
    """
    progress(f"reading {Path(settings.file).name}", 0.0)
    with TemporaryDirectory() as scratch:
        rows = read_rows(settings, Path(scratch))
        budget = TrainingBudget.of(settings, rows.train)
        names = [name for name in get_args(EncoderName) if name in settings.encoders]
        results: dict[str, EncoderScores] = {}
        row_scores: dict[str, Sequence[RowScores]] = {}
        baseline_score, metric = None, ""
        for number, name in enumerate(names):
            start, size = number / len(names), 1 / len(names)
            advance = progress_within(progress, f"training {name}", start, size)
            experiment = _EncoderExperiment(settings, rows, budget, name)
            results[name], row_scores[name] = experiment.run(advance)
            baseline_score, metric = experiment.baseline_score(), experiment.metric
            evaluated = experiment.evaluated
        simple_scores = _score_simple_models(rows, evaluated, budget.settings)
    epochs = budget.steps / budget.order(0).steps_per_epoch
    result = DataResult(
        settings=settings,
        metric=metric,
        baseline_score=baseline_score,
        rows=(len(rows.train), len(rows.validation), len(rows.test)),
        label_names=rows.label_names,
        steps=budget.steps,
        tokens=round(epochs * int(rows.train.lengths.sum())),
        encoders=results,
        simple={
            name: SimpleScore(scores.value, scores.interval())
            for name, scores in simple_scores.items()
        },
    )
    row_scores |= {name: [scores] for name, scores in simple_scores.items()}
    best, *others = result.ranked
    differences = {
        name: compare_over_seeds(row_scores[best], row_scores[name], comparisons=len(others))
        for name in others
    }
    return dataclasses.replace(result, differences=differences)


def has_converged(losses: Sequence[float]) -> bool:
    """Whether the training loss has settled.

    It has if the mean of the last fifth of the steps is at most a tenth below that of the fifth
    before. The learning rate falls to 0, so a loss that still falls would have gone on falling
    with more steps.

    >>> has_converged([4, 3, 2, 1, 0.5]), has_converged([4, 2, 1.02, 1.01, 1.0])
    (False, True)
    """
    fifths = np.array_split(np.asarray(losses, float), 5)
    return bool(fifths[-1].mean() >= 0.9 * fifths[-2].mean()) if len(losses) >= 5 else False


def _score_simple_models(
    rows: ComparisonRows, evaluated: Evaluation, settings: ResolvedSettings
) -> dict[str, RowScores]:
    """The scores of the simple models that learn, by name."""
    order = np.concatenate(list(plan_batches(rows.test.lengths, settings.micro_tokens)))
    models = rows.simple_models(order)
    learned = models if rows.form == "tags" else models[:-1]
    return {
        model.name: score_predictions(model.predicted, evaluated, rows.form, rows.label_names)
        for model in learned
    }


@dataclasses.dataclass(frozen=True)
class TrainingBudget:
    """The steps of every run.

    Batches have the size that `bothways train` chooses, or less if there would be fewer than
    `MIN_STEPS` steps.

    lengths: of the training rows, in tokens.
    """

    lengths: np.ndarray
    settings: ResolvedSettings
    steps: int

    @classmethod
    def of(cls, settings: DataSettings, train: Dataset) -> "TrainingBudget":
        """The budget for these training rows."""
        defaults = resolve_settings(
            TrainingSettings(), train.lengths, from_scratch=True, gpu=False, bf16=False
        )
        total = int(train.lengths.sum())
        epochs = min(settings.train_tokens / total, settings.max_epochs)
        small_batch = max(round(epochs * total / MIN_STEPS), MIN_BATCH_TOKENS)
        batch_tokens = min(defaults.batch_tokens, small_batch)
        resolved = dataclasses.replace(defaults, batch_tokens=batch_tokens)
        budget = cls(train.lengths, resolved, 0)
        steps = math.ceil(epochs * budget.order(0).steps_per_epoch)
        return dataclasses.replace(budget, steps=steps)

    def order(self, seed: int) -> StepSampler:
        """The order of the rows for a seed; a step is one batch."""
        return StepSampler(
            self.lengths,
            batch_tokens=self.settings.batch_tokens,
            micro_tokens=int(self.lengths.sum()),
            seed=seed,
        )


class _EncoderExperiment:
    """The runs of one encoder."""

    def __init__(
        self,
        settings: DataSettings,
        rows: ComparisonRows,
        budget: TrainingBudget,
        name: EncoderName,
    ) -> None:
        self.settings, self.rows, self.budget, self.name = settings, rows, budget, name
        base_model = rows.base_model(name, settings.seeds[0])
        self.num_layers = base_model.folder.config.num_layers
        self.objective = rows.objective(base_model)
        self.metric = "r2" if settings.task == "regress" else self.objective.monitor.metric
        self._order = functools.cache(budget.order)
        self.evaluated: Evaluation = {}

    def run(self, progress: Callable[[float], None]) -> tuple[EncoderScores, Sequence[RowScores]]:
        """Choose the learning rate, train from every seed, and score the test rows.

        Also returns the scores by row, of each seed.
        """
        search: LearningRateSearch[TrainedModel] = search_learning_rate(
            self._build,
            self._batch,
            self._loss,
            lambda model: self._score(self._evaluate(model, self.rows.validation)),
            steps=self.budget.steps,
            seeds=self.settings.seeds,
            learning_rates=self.settings.learning_rates,
            progress=progress,
        )
        test_tokens = int(self.rows.test.lengths.sum())
        scores, speeds, row_scores = [], [], []
        for model in search.models.values():
            start = time.perf_counter()
            self.evaluated = self._evaluate(model, self.rows.test)
            scores.append(self._score(self.evaluated))
            by_row = score_model(self.evaluated, self.objective.head, self.rows.form)
            if by_row is None:
                raise ValueError(f"{self.settings.task}: no scores by row")
            row_scores.append(by_row)
            speeds.append(test_tokens / (time.perf_counter() - start))
        encoder_scores = EncoderScores(
            parameters=ParameterCounts.of(search.models[self.settings.seeds[0]]),
            layers=self.num_layers,
            learning_rate=search.learning_rate,
            validation_scores=search.scores,
            scores=tuple(scores),
            seconds=tuple(fit.seconds for fit in search.fits.values()),
            tokens_per_second=tuple(speeds),
            finished=all(fit.finished for fit in search.fits.values()),
            interval=interval_over_seeds(row_scores),
            converged=all(has_converged(fit.losses) for fit in search.fits.values()),
        )
        return encoder_scores, row_scores

    def baseline_score(self) -> float | None:
        """The score of a constant prediction: the most frequent label, or the mean."""
        if self.metric == "r2":
            return 0.0
        if self.metric != "accuracy":
            return None
        examples = [self.rows.test[i] for i in range(len(self.rows.test))]
        targets = self.objective.prepare(examples, generator(0, "targets")).targets["labels"]
        return float(np.mean(targets == self.rows.most_frequent))

    def _build(self, seed: int) -> TrainedModel:
        return build_model(self.objective, self.rows.base_model(self.name, seed), seed=seed)

    def _batch(self, seed: int, step: int) -> Batch:
        (indices,) = self._order(seed).batches(step)
        examples = [self.rows.train[index] for index in indices.tolist()]
        prepared = self.objective.prepare(examples, generator(seed, "targets", step, 0))
        batch = to_device(prepared, torch.device("cpu"))
        weight = torch.tensor(prepared.weight)
        return dataclasses.replace(batch, targets={**batch.targets, _TARGET_WEIGHT: weight})

    def _loss(self, model: TrainedModel, batch: Batch) -> Tensor:
        return self.objective.loss(model, batch) / batch.targets[_TARGET_WEIGHT]

    def _evaluate(self, model: TrainedModel, data: Dataset) -> Evaluation:
        return evaluate(model, self.objective, data, self.budget.settings)

    def _score(self, evaluated: Evaluation) -> float:
        return self.objective.metrics(evaluated)[self.metric]

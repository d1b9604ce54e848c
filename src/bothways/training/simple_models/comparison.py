"""The comparison of a trained model with simple models, on the same held-out rows.

m held-out rows; K labels; V values.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np

from bothways.installation import install_command
from bothways.model.heads import Head
from bothways.training.data.examples import PackedExamples, TargetForm
from bothways.training.data.training_data import SplitExamples, TrainingData
from bothways.training.objectives.objective import Evaluation
from bothways.training.objectives.tag import mark_spans
from bothways.training.simple_models.fitting import (
    SimpleModel,
    can_fit,
    choose_rows,
    constant,
    fit,
    most_frequent_tags,
)
from bothways.training.simple_models.scores import (
    FEW_ROWS,
    Interval,
    RowScores,
    ScoreDifference,
    compare,
)

__all__ = [
    "ComparedModel",
    "ModelComparison",
    "compare_with_simple_models",
    "describe_score",
    "score_model",
]

_NAMES = {"accuracy": "accuracy", "micro_f1": "micro F1", "span_f1": "F1 of spans", "r2": "R2"}


@dataclasses.dataclass(frozen=True)
class ComparedModel:
    """A simple model's score. difference: of the trained model's score and this one."""

    name: str
    score: float
    interval: Interval
    difference: ScoreDifference


@dataclasses.dataclass(frozen=True)
class ModelComparison:
    """The score of a trained model with its interval, beside those of simple models.

    metric: `accuracy`, `micro_f1`, `span_f1` or `r2`. rows: held-out rows, or sequences of tags.
    simple: the simple models; the first is the one to beat, which cross-validation on the training
    rows chose, not the held-out rows. missing: what is needed for more of them, or None.
    """

    metric: str
    rows: int
    score: float
    interval: Interval
    simple: tuple[ComparedModel, ...]
    missing: str | None

    @property
    def metric_name(self) -> str:
        """The name of the metric in texts."""
        return _NAMES[self.metric]

    @property
    def has_few_rows(self) -> bool:
        """Whether the rows are too few for a score without an interval."""
        return self.rows < FEW_ROWS

    @property
    def headline(self) -> str:
        """The score, its interval and the number of rows."""
        low, high = self.interval
        return (
            f"{self.metric_name} {self.score:.3f} (95 % interval {low:.3f} to {high:.3f}, "
            f"{self.rows:,} held-out rows)"
        )

    @property
    def verdict(self) -> str:
        """Whether the trained model is better than the simple one, in one sentence."""
        if not self.simple:
            return ""
        best = self.simple[0]
        scores = f"{self.metric_name} {self.score:.3f}, and {best.score:.3f} for {best.name}"
        low, high = best.difference.interval
        match best.difference.outcome:
            case "better":
                return f"The trained model is better than the simple model: {scores}."
            case "worse":
                return (
                    f"The simple model is better than the trained one: {scores}. Use the simple "
                    "model, or train on more data or from a pretrained model."
                )
            case "equal":
                return (
                    f"The simple model is as good as the trained one: {scores}, a difference that "
                    f"{self.rows:,} rows cannot tell from chance ({low:+.3f} to {high:+.3f})."
                )

    def to_dict(self) -> dict[str, Any]:
        """The fields and the verdict, for JSON."""
        return dataclasses.asdict(self) | {"verdict": self.verdict}


def score_model(evaluated: Evaluation, head: Head | None, form: TargetForm) -> RowScores | None:
    """The scores of a trained model by row; None for masked tokens and pairs.

    evaluated: the arrays of the objective's `evaluate`. form: of the targets.
    """
    match form:
        case "class":
            return RowScores.of_classes(
                evaluated["probabilities"].argmax(axis=1), evaluated["targets"]
            )
        case "labels":
            return RowScores.of_labels(evaluated["probabilities"] > 0.5, evaluated["targets"] > 0.5)
        case "values" if "predictions" in evaluated:
            return RowScores.of_values(evaluated["predictions"], evaluated["targets"])
        case "tags":
            labels = () if head is None else head.labels
            return _score_tags(evaluated["predictions"], evaluated, labels)
        case _:
            return None


def describe_score(scores: RowScores) -> ModelComparison:
    """The score of a trained model with its interval, beside no simple model."""
    return ModelComparison(
        metric=scores.metric,
        rows=scores.num_rows,
        score=scores.value,
        interval=scores.interval(),
        simple=(),
        missing=None,
    )


def compare_with_simple_models(
    data: TrainingData,
    examples: SplitExamples,
    evaluated: Evaluation,
    order: np.ndarray,
    *,
    head: Head | None,
    seed: int,
    vectors: tuple[np.ndarray, np.ndarray] | None = None,
) -> ModelComparison | None:
    """Fit simple models to the training rows, and compare the trained one with them.

    evaluated: the arrays of the objective's `evaluate`. order: the index of each held-out example
    in them. head: of the trained model.
    vectors: of training and held-out rows by the encoder that training started from, for a linear
    probe; None without a pretrained encoder. The training rows are those of `choose_rows`.
    Returns None if there are no held-out rows, or none with a target.
    """
    held_out = examples.validation
    scores = None if held_out is None else score_model(evaluated, head, held_out.form)
    if held_out is None or scores is None:
        return None
    labels = () if head is None else head.labels
    models = _simple_models(data, examples, held_out, order, seed, vectors)
    return dataclasses.replace(
        describe_score(scores),
        simple=tuple(_compared(scores, model, evaluated, order, labels) for model in models),
        missing=None if can_fit() or held_out.form == "tags" else _missing(),
    )


def _missing() -> str:
    return f"the comparison with simple models needs scikit-learn: {install_command('sklearn')}"


def _compared(
    scores: RowScores,
    model: SimpleModel,
    evaluated: Evaluation,
    order: np.ndarray,
    labels: Sequence[str],
) -> ComparedModel:
    target = evaluated["targets"]
    match scores.metric:
        case "accuracy" | "span_f1" if "begins" in evaluated:
            simple = _score_tags(model.predicted, evaluated, labels)
        case "accuracy":
            simple = RowScores.of_classes(model.predicted[order], target)
        case "micro_f1":
            simple = RowScores.of_labels(model.predicted[order] > 0.5, target > 0.5)
        case _:
            simple = RowScores.of_values(model.predicted[order], target)
    return ComparedModel(model.name, simple.value, simple.interval(), compare(scores, simple))


def _score_tags(predicted: np.ndarray, evaluated: Evaluation, labels: Sequence[str]) -> RowScores:
    sequence = np.cumsum(evaluated["begins"]) - 1
    if mark_spans(labels):
        return RowScores.of_spans(predicted, evaluated["targets"], sequence, labels)
    return RowScores.of_tags(predicted, evaluated["targets"], sequence)


def _simple_models(
    data: TrainingData,
    examples: SplitExamples,
    held_out: PackedExamples,
    order: np.ndarray,
    seed: int,
    vectors: tuple[np.ndarray, np.ndarray] | None,
) -> Iterator[SimpleModel]:
    """The simple models, the best in cross-validation on the training rows first."""
    train = examples.train
    if train.form == "tags":
        yield most_frequent_tags(train, held_out, order)
        return
    if can_fit():
        yield from _fitted(data, train, held_out, seed, vectors)
    yield constant(train, held_out)


def _fitted(
    data: TrainingData,
    train: PackedExamples,
    held_out: PackedExamples,
    seed: int,
    vectors: tuple[np.ndarray, np.ndarray] | None,
) -> Iterator[SimpleModel]:
    from bothways.training.simple_models import candidates
    from bothways.training.simple_models.candidates import Target

    rows = choose_rows(len(train), seed=seed)
    target = cast(np.ndarray, train.targets)[rows]
    form = cast(Target, train.form)
    num_labels = len(data.survey.labels)
    if form == "class" and len(np.unique(target)) < 2:
        return
    inputs, held_out_inputs = _inputs(data, train, held_out, rows)
    match data.source.kind:
        case "text":
            features = list(candidates.of_texts(form, num_labels))
        case "symbols":
            both = [*inputs, *held_out_inputs]
            features = list(candidates.of_symbols(form, num_labels, both))
        case "series":
            both = [*inputs, *held_out_inputs]
            features = list(candidates.of_series(form, both))
    has_probe = vectors is not None
    fitted = [fit(features, inputs, target, held_out_inputs, always_score=has_probe)]
    if vectors is not None:
        probes = list(candidates.of_vectors(form))
        fitted.append(fit(probes, list(vectors[0]), target, list(vectors[1]), always_score=True))
    for model, _ in sorted(fitted, key=lambda each: -np.nan_to_num(each[1], nan=-np.inf)):
        yield model


def _inputs(
    data: TrainingData, train: PackedExamples, held_out: PackedExamples, rows: np.ndarray
) -> tuple[list[Any], list[Any]]:
    """The texts, ids or series of these training rows and of the held-out rows."""
    if data.source.kind == "text":
        return data.input_texts(rows)
    return [_content(train, row) for row in rows.tolist()], [
        _content(held_out, row) for row in range(len(held_out))
    ]


def _content(examples: PackedExamples, index: int) -> np.ndarray:
    """The ids or values of an example without special tokens; at least one position."""
    (sequence,) = examples[index].sequences
    content = sequence.values[sequence.content]
    return content if len(content) else sequence.values

"""The comparison of a trained model with simple models, on the same held-out rows.

m held-out rows; K labels; V values.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, assert_never, cast

import numpy as np

from bothways.installation import install_command
from bothways.model.heads import Head
from bothways.training.data.examples import PackedExamples, TargetForm
from bothways.training.data.training_data import SplitExamples, TrainingData
from bothways.training.data.windows import content_values, whole_values
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
    "ComparedRows",
    "ModelComparison",
    "compare_rows",
    "describe_score",
    "fit_simple_models",
    "predict_with_simple_models",
    "score_model",
    "score_predictions",
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
    folds: of cross-validation, whose test rows these are; None for held-out rows of one run.
    """

    metric: str
    rows: int
    score: float
    interval: Interval
    simple: tuple[ComparedModel, ...]
    missing: str | None
    folds: int | None = None

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
            f"{self.rows:,} {self._rows_name})"
        )

    @property
    def _rows_name(self) -> str:
        return "held-out rows" if self.folds is None else f"rows in {self.folds} folds"

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


@dataclasses.dataclass(frozen=True, eq=False)
class ComparedRows:
    """Predictions of a trained model and of simple ones for the same held-out rows.

    form: of the targets. labels: the names of classes, tags or values.
    evaluated: the arrays of the objective's `evaluate`. simple: the simple models, the one to beat
    first; their predictions are in the order of these arrays. missing: as in `ModelComparison`.
    """

    form: TargetForm
    labels: tuple[str, ...]
    evaluated: Evaluation
    simple: tuple[SimpleModel, ...]
    missing: str | None

    @classmethod
    def concatenate(cls, folds: Sequence["ComparedRows"]) -> "ComparedRows":
        """The rows of all folds: the simple model to beat in each of them, and the constant one."""
        first = folds[0]
        evaluated = {
            name: np.concatenate([fold.evaluated[name] for fold in folds])
            for name in first.evaluated
        }
        pooled: list[SimpleModel] = []
        for place in (0, -1) if first.simple else ():
            models = [fold.simple[place] for fold in folds]
            names = {model.name for model in models}
            name = models[0].name if len(names) == 1 else "the best simple model of each fold"
            predicted = np.concatenate([model.predicted for model in models])
            if not pooled or len(first.simple) > 1:
                pooled.append(SimpleModel(name, models[0].rows, predicted))
        return dataclasses.replace(first, evaluated=evaluated, simple=tuple(pooled))


def score_model(evaluated: Evaluation, head: Head | None, form: TargetForm) -> RowScores | None:
    """The scores of a trained model by row; None for masked tokens and pairs.

    evaluated: the arrays of the objective's `evaluate`. form: of the targets.
    """
    if head is None:
        return None
    match form:
        case "class":
            predicted = evaluated["probabilities"].argmax(axis=1)
        case "labels":
            predicted = evaluated["probabilities"] > 0.5
        case "values" | "tags":
            predicted = evaluated["predictions"]
        case "none":
            return None
        case unknown:
            assert_never(unknown)
    return score_predictions(predicted, evaluated, form, head.labels)


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


def predict_with_simple_models(
    data: TrainingData,
    examples: SplitExamples,
    evaluated: Evaluation,
    order: np.ndarray,
    *,
    head: Head,
    seed: int,
    vectors: tuple[np.ndarray, np.ndarray] | None = None,
    held_out_rows: np.ndarray | None = None,
    simple_models: bool = True,
) -> ComparedRows:
    """Fit simple models to the training rows, and predict the held-out ones.

    evaluated: the arrays of the objective's `evaluate`. order: the index of each held-out example
    in them. head: of the trained model.
    vectors: of training and held-out rows by the encoder that training started from, for a linear
    probe; None without a pretrained encoder. The training rows are those of `choose_rows`.
    held_out_rows: which of the held-out rows of the data the held-out examples are; None for all.
    simple_models: False to fit none.
    """
    train, held_out = examples.train, examples.validation
    if held_out is None:
        raise ValueError("there are no held-out examples")
    models: list[SimpleModel] = []
    if simple_models:
        models = fit_simple_models(
            data, train, held_out, order, seed=seed, vectors=vectors, held_out_rows=held_out_rows
        )
    is_missing = simple_models and train.form != "tags" and not can_fit()
    return ComparedRows(
        form=held_out.form,
        labels=head.labels,
        evaluated=evaluated,
        simple=tuple(models),
        missing=_missing() if is_missing else None,
    )


def fit_simple_models(
    data: TrainingData,
    train: PackedExamples,
    held_out: PackedExamples,
    order: np.ndarray,
    *,
    seed: int,
    vectors: tuple[np.ndarray, np.ndarray] | None = None,
    held_out_rows: np.ndarray | None = None,
) -> list[SimpleModel]:
    """Simple models with predictions for the held-out examples in this order; the best first.

    Arguments as in `predict_with_simple_models`. Without scikit-learn, only a constant model.
    """
    if train.form == "tags":
        return [most_frequent_tags(train, held_out, order)]
    models = _fitted(data, train, held_out, seed, vectors, held_out_rows) if can_fit() else []
    models.append(constant(train, held_out))
    return [dataclasses.replace(each, predicted=each.predicted[order]) for each in models]


def compare_rows(rows: ComparedRows, head: Head) -> ModelComparison:
    """Compare the trained model with each simple one."""
    scores = score_model(rows.evaluated, head, rows.form)
    if scores is None:
        raise ValueError("only classes, labels, values and tags are compared")
    compared = []
    for model in rows.simple:
        simple = score_predictions(model.predicted, rows.evaluated, rows.form, rows.labels)
        difference = compare(scores, simple)
        compared.append(ComparedModel(model.name, simple.value, simple.interval(), difference))
    return dataclasses.replace(describe_score(scores), simple=tuple(compared), missing=rows.missing)


def _missing() -> str:
    return f"the comparison with simple models needs scikit-learn: {install_command('sklearn')}"


def score_predictions(
    predicted: np.ndarray, evaluated: Evaluation, form: TargetForm, labels: Sequence[str]
) -> RowScores:
    """The scores of predictions for the targets that a trained model was evaluated on.

    predicted: classes (m,), labels (m, K), values (m, V), or the tags of all positions.
    """
    target = evaluated["targets"]
    match form:
        case "class":
            return RowScores.of_classes(predicted, target)
        case "labels":
            return RowScores.of_labels(predicted > 0.5, target > 0.5)
        case "tags":
            sequence = np.cumsum(evaluated["begins"]) - 1
            if mark_spans(labels):
                return RowScores.of_spans(predicted, target, sequence, labels)
            return RowScores.of_tags(predicted, target, sequence)
        case _:
            return RowScores.of_values(predicted, target)


def _fitted(
    data: TrainingData,
    train: PackedExamples,
    held_out: PackedExamples,
    seed: int,
    vectors: tuple[np.ndarray, np.ndarray] | None,
    held_out_rows: np.ndarray | None,
) -> list[SimpleModel]:
    """The fitted simple models, the best in cross-validation on the training rows first."""
    from bothways.training.simple_models import candidates
    from bothways.training.simple_models.candidates import Target

    rows = choose_rows(len(train), seed=seed)
    target = cast(np.ndarray, train.targets)[rows]
    form = cast(Target, train.form)
    num_labels = len(data.survey.labels)
    if form == "class" and len(np.unique(target)) < 2:
        return []
    inputs, held_out_inputs = _inputs(data, train, held_out, rows, held_out_rows)
    everything = [*inputs, *held_out_inputs]
    match data.source.kind:
        case "text":
            features = list(candidates.of_texts(form, num_labels))
        case "symbols":
            features = list(candidates.of_symbols(form, num_labels, everything))
        case "series":
            features = list(candidates.of_series(form, everything))
    has_probe = vectors is not None
    fitted = [fit(features, inputs, target, held_out_inputs, always_score=has_probe)]
    if vectors is not None:
        probes = list(candidates.of_vectors(form))
        fitted.append(fit(probes, list(vectors[0]), target, list(vectors[1]), always_score=True))
    chosen = [each for each in fitted if each is not None]
    chosen.sort(key=lambda each: -np.nan_to_num(each[1], nan=-np.inf))
    return [model for model, _ in chosen]


def _inputs(
    data: TrainingData,
    train: PackedExamples,
    held_out: PackedExamples,
    rows: np.ndarray,
    held_out_rows: np.ndarray | None,
) -> tuple[list[Any], list[Any]]:
    """The texts, ids or series of these training rows and of the held-out examples."""
    if data.source.kind == "text":
        texts, held_out_texts = data.input_texts(rows)
        chosen = range(len(held_out_texts)) if held_out_rows is None else held_out_rows.tolist()
        return texts, [held_out_texts[row] for row in chosen]
    return [_content(train, row) for row in rows.tolist()], [
        _content(held_out, row) for row in range(len(held_out))
    ]


def _content(examples: PackedExamples, index: int) -> np.ndarray:
    """The ids or values of an example without special tokens; at least one position."""
    example = examples[index]
    if examples.stem is not None:  # simple models have features of their own
        return examples.stem.values(whole_values(example))
    content = content_values(example)
    return content if len(content) else whole_values(example)

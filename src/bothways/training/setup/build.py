"""Construction of the objective, its head and the model to train."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from bothways.errors import ConfigError
from bothways.model.heads import Head, HeadTask, head_layout
from bothways.sequences.special_tokens import continuing_tokens, special_tokens
from bothways.training.data.dataset import IGNORED
from bothways.training.data.examples import PackedExamples
from bothways.training.data.survey import Survey
from bothways.training.model import TrainedModel
from bothways.training.objectives.classify import (
    Classify,
    ClassifyMany,
    balanced_positive_weights,
    balanced_weights,
)
from bothways.training.objectives.heads import head_for
from bothways.training.objectives.masked_tokens import MaskedTokens, MaskingRecipe
from bothways.training.objectives.masked_values import MaskedValues
from bothways.training.objectives.objective import Objective
from bothways.training.objectives.regress import Regress
from bothways.training.objectives.tag import Tag
from bothways.training.options.objective import ObjectiveOptions, TrainingTask
from bothways.training.setup.base_model import BaseModel
from bothways.training.setup.contrast import build_contrast

__all__ = ["build_model", "build_objective", "has_head", "head_labels"]


def build_objective(
    task: TrainingTask,
    options: ObjectiveOptions,
    start: BaseModel,
    survey: Survey,
    train: PackedExamples,
) -> Objective:
    """Build the objective of a task, with its head.

    If the model already has a head with the same labels, that head is fine-tuned.

    Raises:
        ConfigError: if an option is invalid, or the model does not support the task.
    """
    match task:
        case "mlm" if start.reader.kind == "series":
            return MaskedValues(
                head=_head("masked_values", options, start, ()),
                **options.given("span", rate="mask_rate"),
            )
        case "mlm":
            return _masked_tokens(options, start)
        case "classify" if survey.multilabel:
            return ClassifyMany(
                head=_head("multilabel", options, start, survey.labels),
                positive_weights=_positive_weights(options, train),
            )
        case "classify":
            return Classify(
                head=_head("classes", options, start, survey.labels),
                class_weights=_class_weights(options, train, len(survey.labels)),
                **options.given("label_smoothing"),
            )
        case "tag":
            return Tag(
                head=_head("tags", options, start, survey.labels),
                class_weights=_class_weights(options, train, len(survey.labels)),
                **options.given("label_smoothing"),
            )
        case "regress":
            head = _head("values", options, start, survey.labels)
            return Regress.on(head, _targets(train), **options.given("huber"))
        case "contrast":
            return build_contrast(options, start, survey)


def head_labels(task: TrainingTask, start: BaseModel | None) -> tuple[str, ...]:
    """The labels of the model's head for a task, in its order; empty if it has none."""
    head_tasks: Mapping[TrainingTask, tuple[HeadTask, ...]] = {
        "classify": ("classes", "multilabel"),
        "tag": ("tags",),
    }
    heads = () if start is None else start.folder.spec.heads
    return next((head.labels for head in heads if head.task in head_tasks.get(task, ())), ())


def build_model(objective: Objective, start: BaseModel, *, seed: int) -> TrainedModel:
    """Build the encoder with the objective's head, and with the model's head weights, if any."""
    head, folder = objective.head, start.folder
    weights: dict[str, np.ndarray] = {}
    if head is not None:
        existing = {
            name: folder.head_weights[name]
            for name, shape in head_layout(head, folder.config).items()
            if name in folder.head_weights and folder.head_weights[name].shape == shape
        }
        if has_head(start, head):
            weights = objective.from_folder(existing)
        else:  # a published encoder may have a pooler but no classifier
            weights = {
                name: existing[name] for name in existing if name.startswith("heads.pooler.")
            }
    return TrainedModel.build(folder.config, folder.weights, head, weights, seed=seed)


def has_head(start: BaseModel, head: Head) -> bool:
    """Whether the model has this head, apart from dropout and linear term, with weights."""
    heads = start.folder.spec.heads
    return any(
        dataclasses.replace(other, dropout=head.dropout, linear_term=head.linear_term) == head
        for other in heads
    )


def _head(
    task: HeadTask, options: ObjectiveOptions, start: BaseModel, labels: tuple[str, ...]
) -> Head:
    """The model's head if it has the same labels and pooling, otherwise a new one.

    Its linear term, if it has one, is left out: it is fitted to other rows.
    """
    pooling = options.head_pooling
    for head in start.folder.spec.heads:
        if head.task == task and head.labels == labels and pooling in (None, head.pooling):
            rate = head.dropout if options.head_dropout is None else options.head_dropout
            return dataclasses.replace(head, dropout=rate, linear_term=None)
    return head_for(
        task,
        start.folder.config,
        labels,
        pooling=pooling or "mean",
        dropout=options.head_dropout,
    )


def _masked_tokens(options: ObjectiveOptions, start: BaseModel) -> MaskedTokens:
    config = start.folder.config
    special = special_tokens(start.reader)
    continues = None
    if options.whole_words:
        known = continuing_tokens(start.reader)
        if known is None:
            raise ConfigError("whole_words: this vocabulary does not mark the beginnings of words")
        continues = np.zeros(config.vocab_size, dtype=bool)  # may exceed the vocabulary
        continues[: len(known)] = known
    return MaskedTokens(
        head=_head("masked_tokens", options, start, ()),
        vocab_size=config.vocab_size,
        mask_token=special.mask,
        special_tokens=special.all,
        recipe=MaskingRecipe(**options.given("masked", "random", rate="mask_rate")),
        continues=continues,
    )


def _targets(train: PackedExamples) -> np.ndarray:
    if train.targets is None:
        raise ValueError("the examples have no targets")
    return train.targets


def _class_weights(
    options: ObjectiveOptions, train: PackedExamples, num_labels: int
) -> np.ndarray | None:
    if options.class_weights is None:
        return None
    targets = _targets(train)
    return balanced_weights(np.bincount(targets[targets != IGNORED], minlength=num_labels))


def _positive_weights(options: ObjectiveOptions, train: PackedExamples) -> np.ndarray | None:
    if options.class_weights is None:
        return None
    targets = _targets(train)
    return balanced_positive_weights(targets.sum(axis=0, dtype=np.int64), len(targets))

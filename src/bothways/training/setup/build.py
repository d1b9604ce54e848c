"""An objective for the data and the model at hand, and the model that it trains."""

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
from bothways.training.objectives.contrast import Contrast
from bothways.training.objectives.heads import head_for
from bothways.training.objectives.masked_tokens import MaskedTokens, MaskingRecipe
from bothways.training.objectives.masked_values import MaskedValues
from bothways.training.objectives.objective import Objective
from bothways.training.objectives.regress import Regress
from bothways.training.objectives.tag import Tag
from bothways.training.options.objective import ObjectiveOptions, TrainingTask
from bothways.training.setup.base_model import BaseModel

__all__ = ["build_model", "build_objective", "head_labels"]


def build_objective(
    task: TrainingTask,
    options: ObjectiveOptions,
    start: BaseModel,
    survey: Survey,
    train: PackedExamples,
) -> Objective:
    """What is learned from `train`, and the head it is learned with.

    A head of the same meaning that the model has already is trained on.

    Raises:
        ConfigError: if an option is wrong, or the model cannot do it.
    """
    match task:
        case "mlm" if start.reader.kind == "series":
            return MaskedValues(
                head=_head("masked_values", options, start, ()),
                **options.given("span", rate="mask_rate"),
            )
        case "mlm":
            return _masked_tokens(options, start)
        case "classify" if survey.several:
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
            return Contrast(
                config=start.folder.config,
                pooling=start.folder.pooling,
                modules=start.folder.modules,
                dimensions=options.dimensions,
                **options.given("temperature", "similarity", "symmetric"),
            )


def head_labels(task: TrainingTask, start: BaseModel | None) -> tuple[str, ...]:
    """The labels that the model's own head for a task has, in its order; none if there is none."""
    wanted: Mapping[TrainingTask, tuple[HeadTask, ...]] = {
        "classify": ("classes", "multilabel"),
        "tag": ("tags",),
    }
    heads = () if start is None else start.folder.head_configs
    return next((head.labels for head in heads if head.task in wanted.get(task, ())), ())


def build_model(objective: Objective, start: BaseModel, *, seed: int) -> TrainedModel:
    """The encoder with the objective's head: the model's own weights as far as it has them."""
    head, folder = objective.head, start.folder
    weights: dict[str, np.ndarray] = {}
    if head is not None:
        own = {
            name: folder.heads[name]
            for name, shape in head_layout(head, folder.config).items()
            if name in folder.heads and folder.heads[name].shape == shape
        }
        if any(dataclasses.replace(o, dropout=head.dropout) == head for o in folder.head_configs):
            weights = objective.from_folder(own)
        else:  # a published encoder may have a pooler, and no classifier behind it
            weights = {name: own[name] for name in own if name.startswith("heads.pooler.")}
    return TrainedModel.build(folder.config, folder.weights, head, weights, seed=seed)


def _head(
    task: HeadTask, options: ObjectiveOptions, start: BaseModel, labels: tuple[str, ...]
) -> Head:
    """The model's own head, if it has the same labels and nothing else was asked for."""
    pooling = options.head_pooling
    for head in start.folder.head_configs:
        if head.task == task and head.labels == labels and pooling in (None, head.pooling):
            if options.head_dropout is None:
                return head
            return dataclasses.replace(head, dropout=options.head_dropout)
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
        found = continuing_tokens(start.reader)
        if found is None:
            raise ConfigError("whole_words: this vocabulary does not say where words begin")
        continues = np.zeros(config.vocab_size, dtype=bool)  # which may have room for more
        continues[: len(found)] = found
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

"""The objective of contrast: the loss that fits the columns and the options."""

from typing import Any

from bothways.errors import ConfigError
from bothways.training.data.survey import Survey
from bothways.training.objectives.contrast import Contrast
from bothways.training.objectives.objective import Objective
from bothways.training.objectives.pairs import LabeledPairs, ScoredPairs
from bothways.training.options.objective import ObjectiveOptions, PairLoss
from bothways.training.setup.base_model import BaseModel

__all__ = ["build_contrast", "choose_pair_loss"]

_CLASS_NAMES = ("label", "labels", "target", "y")
"""Columns whose integers may be classes, such as entailment, as well as scores."""


def build_contrast(options: ObjectiveOptions, start: BaseModel, survey: Survey) -> Objective:
    """Build the objective for pairs, scored pairs or labeled pairs.

    Raises:
        ConfigError: if an option does not fit the loss, or the values do not.
    """
    model: dict[str, Any] = {
        "config": start.folder.config,
        "pooling": start.folder.spec.pooling,
        "modules": start.folder.spec.modules,
        "module_weights": start.folder.module_weights,
        "dimensions": options.dimensions,
    }
    loss = choose_pair_loss(options.loss, survey)
    _check_options(options, loss)
    match loss:
        case "in-batch":
            return Contrast(**model, **options.given("temperature", "similarity", "symmetric"))
        case "contrastive":
            return LabeledPairs(**model, **options.given("margin"))
        case "cosine":
            return ScoredPairs(**model, score_range=_score_range(options, survey))


def choose_pair_loss(chosen: PairLoss | None, survey: Survey) -> PairLoss:
    """The loss that the user chose; otherwise by the column: none, 0 and 1, or scores.

    Raises:
        ConfigError: if the values do not fit the loss, or could be classes.
    """
    if not survey.labels:
        return "in-batch"
    (column,), ((low, high),) = survey.labels, survey.ranges
    is_binary = survey.whole_numbers and (low, high) == (0.0, 1.0)
    if chosen == "contrastive" and not is_binary:
        raise ConfigError(
            f"loss='contrastive' needs labels 0 and 1; column {column!r} has {low:g} to {high:g}"
        )
    is_ambiguous = survey.whole_numbers and not is_binary and column.lower() in _CLASS_NAMES
    if chosen is None and is_ambiguous:
        raise ConfigError(
            f"column {column!r} has integers from {low:g} to {high:g}: classes, or scores? For "
            "scores, of which the highest means most similar, use --loss cosine; of classes, "
            "keep the similar pairs and use --loss in-batch, or write 1 for similar and 0 for "
            "dissimilar pairs"
        )
    return chosen or ("contrastive" if is_binary else "cosine")


def _score_range(options: ObjectiveOptions, survey: Survey) -> tuple[float, float] | None:
    """The scores that become 0 and 1; None for scores that are cosines already."""
    (column,), ((low, high),) = survey.labels, survey.ranges
    if not options.score_range:
        return None if low >= -1 and high <= 1 else (low, high)
    lowest, highest = options.score_range
    if low < lowest or high > highest:
        raise ConfigError(
            f"score_range=[{lowest:g}, {highest:g}]: column {column!r} has {low:g} to {high:g}"
        )
    return lowest, highest


def _check_options(options: ObjectiveOptions, loss: PairLoss) -> None:
    needed: dict[str, PairLoss] = {
        "temperature": "in-batch",
        "similarity": "in-batch",
        "symmetric": "in-batch",
        "margin": "contrastive",
        "score_range": "cosine",
    }
    for name, needed_loss in needed.items():
        if getattr(options, name) not in (None, ()) and loss != needed_loss:
            raise ConfigError(f"{name} is for loss={needed_loss!r}, and this run has {loss!r}")

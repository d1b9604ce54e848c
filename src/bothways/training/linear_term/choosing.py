"""The linear term of a trained model: whether it has one, and how much it counts.

m held-out rows; O outputs.
"""

import dataclasses
import itertools
from typing import Any, NamedTuple

import numpy as np
import torch

from bothways.checkpoints import ModelBundle
from bothways.model.linear_terms import NAMES
from bothways.training.data.examples import PackedExamples, TargetForm
from bothways.training.data.windows import content_values
from bothways.training.distributed.processes import Workers
from bothways.training.engine.evaluation import evaluate, evaluation_order
from bothways.training.engine.torch_setup import torch_for_training
from bothways.training.linear_term.fitting import (
    MIN_ROWS,
    choose_recipe,
    fit_term,
    loss_of,
    to_tensor,
)
from bothways.training.model import TrainedModel
from bothways.training.objectives.classify import Classify, ClassifyMany
from bothways.training.objectives.linear_term import FittedTerm
from bothways.training.objectives.objective import Evaluation, Objective
from bothways.training.objectives.regress import Regress
from bothways.training.resolved_settings import ResolvedSettings
from bothways.training.settings import TrainingSettings

__all__ = ["MAX_ROWS", "TermChoice", "choose_linear_term", "obstacle", "with_stored_term"]

MAX_ROWS = 20_000
"""Training rows up to which a model gets a term: more of them teach the encoder what it says, and
a linear model is fitted to this many in seconds."""

_SCALES = np.linspace(0, 1.5, 13).tolist()
_USUAL_SCALE, _STRENGTH = 0.5, 3.0
"""Scales are drawn to one half each, with this strength: the held-out rows have chosen the weights
of the encoder and flatter it, and few of them say little. On 9 data sets with 34 to 60 held-out
rows, strengths of 1, 3, 10 and 20 gave mean scores of 0.760, 0.760, 0.757 and 0.756 on other rows;
the encoder alone had 0.730 and the term alone 0.707."""
_SMALLEST = 1e-9
"""Probability below which a logit is cut."""


class TermChoice(NamedTuple):
    """An objective with a linear term, twice.

    evaluated: with the term of the training rows, to evaluate the held-out rows. saved: for the
    model folder, with the term of all rows or the same.
    """

    evaluated: Objective
    saved: Objective


def obstacle(
    objective: Objective,
    train: PackedExamples,
    held_out: PackedExamples | None,
    settings: TrainingSettings,
) -> str | None:
    """Why the model of a run cannot have a linear term; None if it can."""
    if held_out is None:
        return "no rows are held out, which choose how much the term counts"
    match objective:
        case Classify(class_weights=weights) | ClassifyMany(positive_weights=weights):
            if weights is not None:
                return "rare classes have more weight (class_weights)"
        case Regress():
            if objective.huber is not None:
                return "the loss is not the squared error (huber)"
        case _:
            return "only heads of classes and values have a linear term"
    if settings.frozen:
        return "only the head is trained (frozen)"
    if train.segments is not None:
        return "rows are pairs"
    if len(train) < MIN_ROWS:
        return f"there are fewer than {MIN_ROWS} training rows"
    return None


def choose_linear_term(
    model: TrainedModel,
    objective: Objective,
    train: PackedExamples,
    held_out: PackedExamples,
    settings: ResolvedSettings,
    workers: Workers,
    *,
    refit: bool,
) -> TermChoice | None:
    """The objective with a linear term; None if it is best without one.

    The term is fitted to the training rows. Its scale, and that of the head's layers, are chosen on
    the held-out rows. Every process calls this.

    model: the trained model. held_out: the rows that chose its weights. refit: whether the saved
    term is fitted to all rows, with the scales that were chosen.
    """
    with torch_for_training(workers.device, settings.threads):
        evaluated = evaluate(model, objective, held_out.to_dataset(), settings, workers)
    chosen = workers.run_on_main(
        lambda: _choose(objective, train, held_out, evaluated, settings, refit=refit)
    )
    if chosen is None:
        return None
    return TermChoice(*(_with_term(objective, fitted) for fitted in chosen))


def with_stored_term(objective: Objective, folder: ModelBundle) -> Objective:
    """The objective of a trained model with the linear term of its head, if that has one."""
    for head in folder.spec.heads:
        if objective.head is not None and head.task == objective.head.task and head.linear_term:
            arrays = {
                name: folder.head_weights[name] for name in NAMES if name in folder.head_weights
            }
            fitted = FittedTerm(head.linear_term, arrays)
            if isinstance(objective, Regress):
                fitted = fitted.out_of_units(objective.mean, objective.scale)
            return _with_term(objective, fitted)
    return objective


def _with_term(objective: Any, fitted: FittedTerm) -> Objective:
    """The objective and its head with a linear term."""
    head = dataclasses.replace(objective.head, linear_term=fitted.term)
    replaced: Objective = dataclasses.replace(objective, head=head, linear_term=fitted)
    return replaced


def _choose(
    objective: Any,
    train: PackedExamples,
    held_out: PackedExamples,
    evaluated: Evaluation,
    settings: ResolvedSettings,
    *,
    refit: bool,
) -> tuple[FittedTerm, FittedTerm] | None:
    """The terms of a choice, in the units of training."""
    num_outputs, form = objective.head.num_outputs, train.form
    inputs, target = _contents(train), _targets(objective, train)
    recipe = choose_recipe(inputs, target, form, num_outputs, seed=settings.seed)
    fitted = fit_term(inputs, target, form, num_outputs, recipe)

    others, other_targets = _contents(held_out), _targets(objective, held_out)
    order = evaluation_order(held_out.to_dataset(), settings)
    of_term = fitted.outputs([others[row] for row in order.tolist()])
    of_layers = _outputs_of_layers(objective, evaluated)
    layers, term = _choose_scales(of_layers, of_term, other_targets[order], form)
    if not term:
        return None
    saved = fitted
    if refit:
        everything = np.concatenate([target, other_targets])
        saved = fit_term([*inputs, *others], everything, form, num_outputs, recipe)
    if not (fitted.is_finite and saved.is_finite):  # the encoder is good without it
        return None
    return fitted.scaled(term=term, layers=layers), saved.scaled(term=term, layers=layers)


def _contents(examples: PackedExamples) -> list[np.ndarray]:
    return [content_values(examples[row]) for row in range(len(examples))]


def _targets(objective: Any, examples: PackedExamples) -> np.ndarray:
    """The targets of all examples, in the units of training."""
    target = np.asarray(examples.targets)
    if isinstance(objective, Regress):
        return np.asarray((target - objective.mean) / objective.scale)
    return target


def _outputs_of_layers(objective: Any, evaluated: Evaluation) -> np.ndarray:
    """The outputs of the head's layers, float64 (m, O), in the units of training."""
    if isinstance(objective, Regress):
        return np.asarray((evaluated["predictions"] - objective.mean) / objective.scale)
    share = evaluated["probabilities"].astype(np.float64)
    logit = np.log(np.maximum(share, _SMALLEST))
    if isinstance(objective, ClassifyMany):
        logit -= np.log(np.maximum(1 - share, _SMALLEST))
    return np.asarray(logit)


def _choose_scales(
    of_layers: np.ndarray, of_term: np.ndarray, target: np.ndarray, form: TargetForm
) -> tuple[float, float]:
    """The scales of layers and term with the lowest loss, with a penalty on unusual ones."""
    loss, targets = loss_of(form), to_tensor(target, form)

    def penalized(scales: tuple[float, float]) -> float:
        layers, term = scales
        total = float(loss(torch.from_numpy(layers * of_layers + term * of_term), targets))
        return total + _STRENGTH * sum((scale - _USUAL_SCALE) ** 2 for scale in scales)

    return min(itertools.product(_SCALES, _SCALES), key=penalized)

"""The n-gram term of a trained model: whether it has one, and how much it counts.

m held-out rows; O outputs.
"""

import dataclasses
from typing import Any

import numpy as np
import torch

from bothways.checkpoints import ModelBundle
from bothways.model.heads import Head
from bothways.model.packing import plan_batches
from bothways.training.data.examples import PackedExamples
from bothways.training.data.windows import content_values
from bothways.training.distributed.processes import Workers
from bothways.training.engine.evaluation import evaluate
from bothways.training.engine.torch_setup import torch_for_training
from bothways.training.model import TrainedModel
from bothways.training.ngrams.linear import fit_ngrams, loss_of
from bothways.training.objectives.classify import Classify, ClassifyMany
from bothways.training.objectives.ngrams import FittedNgrams
from bothways.training.objectives.objective import Evaluation, Objective
from bothways.training.objectives.regress import Regress
from bothways.training.resolved_settings import ResolvedSettings

__all__ = ["MAX_ROWS", "choose_ngram_term", "with_stored_ngrams"]

MAX_ROWS = 20_000
"""Training rows up to which a model gets a term: more of them teach the encoder what n-grams say,
and a linear model is fitted to this many in seconds."""

_SHARES = np.linspace(0, 1.5, 13)
_PRIOR = 0.5
"""The weights of layers and term that few held-out rows leave in place."""
_SMALLEST_LOGIT = 1e-9


def choose_ngram_term(
    model: TrainedModel,
    objective: Objective,
    train: PackedExamples,
    held_out: PackedExamples | None,
    settings: ResolvedSettings,
    workers: Workers,
) -> Objective:
    """The objective with an n-gram term, if the held-out rows are predicted better with one.

    The term is fitted to the training rows. Its weight, and that of the head's layers, are those of
    the lowest loss on the held-out rows, drawn to one half each by as much as a row counts. Every
    process calls this.

    model: the trained model. held_out: the rows that chose its weights; None for none.
    """
    if held_out is None or settings.frozen or not _can_have_term(objective, train):
        return objective
    with torch_for_training(workers.device, settings.threads):
        evaluated = evaluate(model, objective, held_out.to_dataset(), settings, workers)
    chosen = workers.run_on_main(lambda: _choose(objective, train, held_out, evaluated, settings))
    return objective if chosen is None else _with_ngrams(objective, chosen)


def with_stored_ngrams(objective: Objective, folder: ModelBundle) -> Objective:
    """The objective of a trained model with the n-gram term of its head, if that has one."""
    for head in folder.spec.heads:
        if objective.head is not None and head.task == objective.head.task and head.ngrams:
            arrays = {name: folder.head_weights[name] for name in head.ngrams.names}
            ngrams = FittedNgrams(head.ngrams, arrays)
            if isinstance(objective, Regress):
                ngrams = ngrams.out_of_units(objective.mean, objective.scale)
            return _with_ngrams(objective, ngrams)
    return objective


def _with_ngrams(objective: Any, ngrams: FittedNgrams) -> Objective:
    """The objective and its head with an n-gram term."""
    head = dataclasses.replace(objective.head, ngrams=ngrams.term)
    replaced: Objective = dataclasses.replace(objective, head=head, ngrams=ngrams)
    return replaced


def _can_have_term(objective: Objective, train: PackedExamples) -> bool:
    """Whether rows are single sequences of ids, not too many, for a head that pools."""
    return (
        isinstance(objective, Classify | ClassifyMany | Regress)
        and objective.head.pooling is not None
        and train.values.ndim == 1
        and train.segments is None
        and len(train) <= MAX_ROWS
    )


def _choose(
    objective: Any,
    train: PackedExamples,
    held_out: PackedExamples,
    evaluated: Evaluation,
    settings: ResolvedSettings,
) -> FittedNgrams | None:
    """The term in the units of training; None if the held-out rows do not gain from it."""
    head: Head = objective.head
    target = np.asarray(train.targets)
    if isinstance(objective, Regress):
        target = (target - objective.mean) / objective.scale
    elif train.form == "class":
        target = target.astype(np.int64)
    sequences = [content_values(train[row]) for row in range(len(train))]
    ngrams = fit_ngrams(sequences, target, train.form, head.num_outputs, seed=settings.seed)

    lengths = held_out.to_dataset().lengths
    order = np.concatenate(list(plan_batches(lengths, settings.micro_tokens)))
    of_term = ngrams.outputs([content_values(held_out[row]) for row in order.tolist()])
    of_layers, target = _outputs(objective, evaluated)
    best = _weigh(of_layers, of_term, target, train.form)
    return None if best is None else _scaled(ngrams, *best)


def _outputs(objective: Any, evaluated: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """The outputs of the head's layers, float64 (m, O), and the targets, in units of training."""
    if isinstance(objective, Regress):
        return tuple(
            (evaluated[name] - objective.mean) / objective.scale
            for name in ("predictions", "targets")
        )
    share = evaluated["probabilities"].astype(np.float64)
    logit = np.log(np.maximum(share, _SMALLEST_LOGIT))
    if isinstance(objective, ClassifyMany):
        logit = logit - np.log(np.maximum(1 - share, _SMALLEST_LOGIT))
    return logit, evaluated["targets"]


def _weigh(
    of_layers: np.ndarray, of_term: np.ndarray, target: np.ndarray, form: Any
) -> tuple[float, float] | None:
    """The weights of layers and term with the lowest loss; None if the layers alone have that."""
    loss = loss_of(form)
    targets = torch.from_numpy(np.ascontiguousarray(target))
    targets = targets if form == "class" else targets.double()

    def total(layers: float, term: float) -> float:
        return float(loss(torch.from_numpy(layers * of_layers + term * of_term), targets))

    scores = {
        (a, b): total(a, b) + (a - _PRIOR) ** 2 + (b - _PRIOR) ** 2
        for a in _SHARES.tolist()
        for b in _SHARES.tolist()
    }
    layers, term = min(scores, key=scores.__getitem__)
    if not term or total(layers, term) >= total(1.0, 0.0):
        return None
    return layers, term


def _scaled(ngrams: FittedNgrams, layers: float, term: float) -> FittedNgrams:
    weight, bias, idf = ngrams.term.names
    arrays = {
        weight: np.float32(term) * ngrams.arrays[weight],
        bias: np.float32(term) * ngrams.arrays[bias],
        idf: ngrams.arrays[idf],
    }
    return FittedNgrams(dataclasses.replace(ngrams.term, layers_scale=layers), arrays)

"""Evaluation of a model on examples that it is not trained on."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from bothways.model.packing import plan_batches
from bothways.training.data.dataset import Dataset
from bothways.training.distributed.processes import Workers
from bothways.training.distributed.sharding import reshard
from bothways.training.engine.microbatches import to_device
from bothways.training.engine.rng import generator
from bothways.training.engine.sampler import assign_batches
from bothways.training.engine.step import autocast
from bothways.training.model import TrainedModel
from bothways.training.objectives.objective import Evaluation, Objective
from bothways.training.resolved_settings import ResolvedSettings

__all__ = ["evaluate", "evaluation_order", "validate"]


def validate(
    model: TrainedModel,
    objective: Objective,
    data: Dataset,
    settings: ResolvedSettings,
    workers: Workers,
) -> dict[str, float]:
    """The objective's metrics on `data`, on every process."""
    evaluation = evaluate(model, objective, data, settings, workers)
    metrics = objective.metrics(evaluation) if workers.is_main else None
    return dict(workers.broadcast_from_main(metrics))


def evaluate(
    model: TrainedModel,
    objective: Objective,
    data: Dataset,
    settings: ResolvedSettings,
    workers: Workers | None = None,
) -> Evaluation:
    """Evaluate a model without dropout; the arrays list the longest examples first.

    Random choices, such as masking, are the same in each call. The processes share the batches; the
    main process gets the arrays of all of them, the others get none.
    """
    workers = workers or Workers(0, 1, next(model.parameters()).device)
    batches = list(plan_batches(data.lengths, settings.micro_tokens))
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), autocast(workers.device, settings):
            own = dict(_evaluate_share(model, objective, data, batches, settings, workers))
    finally:
        model.train(was_training)
        reshard(model)
    by_batch: dict[int, Evaluation] = {}
    for gathered in workers.gather_to_main(own):
        by_batch |= gathered
    arrays = [by_batch[index] for index in sorted(by_batch)]
    names = arrays[0] if arrays else ()
    return {name: np.concatenate([batch[name] for batch in arrays]) for name in names}


def evaluation_order(data: Dataset, settings: ResolvedSettings) -> np.ndarray:
    """The index of each example in the order of the arrays of `evaluate`, int64 (n,)."""
    return np.concatenate(list(plan_batches(data.lengths, settings.micro_tokens)))


def _evaluate_share(
    model: TrainedModel,
    objective: Objective,
    data: Dataset,
    batches: Sequence[np.ndarray],
    settings: ResolvedSettings,
    workers: Workers,
) -> Iterator[tuple[int, Evaluation]]:
    """Evaluate this process's batches: the index of each, and its arrays."""
    assigned = assign_batches(batches, workers.rank, workers.size)
    if settings.sharding == "sharded":  # all processes gather weights equally often
        needed = -(-len(batches) // workers.size)
        assigned += [(0, batches[0])] * (needed - len(assigned))
    for index, batch in assigned:
        examples = [data[row] for row in batch.tolist()]
        prepared = objective.prepare(examples, generator(settings.seed, "validation", index))
        yield index, objective.evaluate(model, to_device(prepared, workers.device))

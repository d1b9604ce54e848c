"""How well a model does on examples that it does not learn from."""

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

__all__ = ["evaluate", "validate"]


def validate(
    model: TrainedModel,
    objective: Objective,
    data: Dataset,
    settings: ResolvedSettings,
    workers: Workers,
) -> dict[str, float]:
    """The objective's figures for `data`, on every process."""
    evaluated = evaluate(model, objective, data, settings, workers)
    return dict(
        workers.broadcast_from_main(objective.metrics(evaluated) if workers.is_main else None)
    )


def evaluate(
    model: TrainedModel,
    objective: Objective,
    data: Dataset,
    settings: ResolvedSettings,
    workers: Workers | None = None,
) -> Evaluation:
    """What the objective keeps of each target of `data`, without dropout; rows longest first.

    Chance, as in what is masked, is the same each time. The processes
    share the batches; the main one gets what all have found, and the others get nothing.
    """
    workers = workers or Workers(0, 1, next(model.parameters()).device)
    batches = list(plan_batches(data.lengths, settings.micro_tokens))
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), autocast(workers.device, settings):
            mine = dict(_evaluate(model, objective, data, batches, settings, workers))
    finally:
        model.train(was_training)
        reshard(model)
    found: dict[int, Evaluation] = {}
    for theirs in workers.gather_to_main(mine):
        found |= theirs
    parts = [found[number] for number in sorted(found)]
    names = parts[0] if parts else ()
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _evaluate(
    model: TrainedModel,
    objective: Objective,
    data: Dataset,
    batches: Sequence[np.ndarray],
    settings: ResolvedSettings,
    workers: Workers,
) -> Iterator[tuple[int, Evaluation]]:
    """Of each of this process' batches, its number and what is kept of it."""
    mine = assign_batches(batches, workers.rank, workers.size)
    if settings.sharding == "sharded":  # all compute as often, to gather the weights together
        most = -(-len(batches) // workers.size)
        mine += [(0, batches[0])] * (most - len(mine))
    for number, batch in mine:
        examples = [data[index] for index in batch.tolist()]
        prepared = objective.prepare(examples, generator(settings.seed, "validation", number))
        yield number, objective.evaluate(model, to_device(prepared, workers.device))

"""Divergence: a loss or gradient that is not finite, and the rows that caused it."""

from collections.abc import Sequence

import torch

from bothways.errors import BothwaysError
from bothways.training.distributed.sharding import set_gradient_sync, to_full_tensor
from bothways.training.engine.microbatches import MicroBatch
from bothways.training.engine.step import (
    GradientAccumulator,
    backward,
    gradients,
    zero_gradients,
)
from bothways.training.objectives.objective import JointObjective

__all__ = ["TrainingDiverged", "find_diverged_rows", "summarize_places"]

_MAX_PLACES = 8


class TrainingDiverged(BothwaysError, ArithmeticError):
    """A loss or a gradient was NaN or infinite; the update was not made.

    places: the rows of the batches that caused it.
    """

    def __init__(self, message: str, places: Sequence[str]) -> None:
        super().__init__(message)
        self.places = tuple(places)


def summarize_places(places: Sequence[str]) -> str:
    """List the first places, and how many more there are."""
    more = f" and {len(places) - _MAX_PLACES:,} more" if len(places) > _MAX_PLACES else ""
    return ", ".join(places[:_MAX_PLACES]) + more


def find_diverged_rows(
    accumulator: GradientAccumulator, step: int, microbatches: Sequence[MicroBatch]
) -> list[str]:
    """The places of the examples in the step's batches whose loss or gradient is not finite.

    Each batch is computed once more by itself, with the same dropout as before. If each of them
    alone is finite, the places of all batches are returned. Every process must call this.
    """

    def gather(places: list[str]) -> list[str]:
        gathered = accumulator.workers.all_gather_object(places)
        return [place for places in gathered for place in places]

    diverged = gather(
        [
            place
            for batch in microbatches
            if _is_not_finite(accumulator, step, batch)
            for place in batch.prepared.places
        ]
    )
    if diverged:
        return list(dict.fromkeys(diverged))
    return gather(
        [place for batch in microbatches if batch.contributes for place in batch.prepared.places]
    )


def _is_not_finite(accumulator: GradientAccumulator, step: int, batch: MicroBatch) -> bool:
    zero_gradients(accumulator.model)
    set_gradient_sync(accumulator.model, enabled=True)
    if isinstance(accumulator.objective, JointObjective):
        result = accumulator.vectors(accumulator.objective, step, batch)
        backward(result.sum())
    else:
        result = accumulator.loss(step, batch)
        backward(result)
    # No early exit: all processes must gather each tensor's shards.
    finite = [
        to_full_tensor(torch.isfinite(tensor).all())
        for tensor in (result, *gradients(accumulator.model))
    ]
    return not all(bool(is_finite) for is_finite in finite)

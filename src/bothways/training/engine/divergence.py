"""When a loss is no longer a number: which rows it came from."""

from collections.abc import Sequence

import torch

from bothways.errors import BothwaysError
from bothways.training.distributed.sharding import postpone_reduction, to_full_tensor
from bothways.training.engine.microbatches import MicroBatch
from bothways.training.engine.step import GradientAccumulator, backward, gradients, zero_gradients
from bothways.training.objectives.objective import JointObjective

__all__ = ["TrainingDiverged", "find_diverged_rows", "summarize_places"]

_SHOWN = 8


class TrainingDiverged(BothwaysError, ArithmeticError):
    """A loss or a gradient was NaN or infinite; the update was not made.

    places: the rows of the batches that it came from.
    """

    def __init__(self, message: str, places: Sequence[str]) -> None:
        super().__init__(message)
        self.places = tuple(places)


def summarize_places(places: Sequence[str]) -> str:
    """The first of some places, and how many more there are."""
    more = f" and {len(places) - _SHOWN:,} more" if len(places) > _SHOWN else ""
    return ", ".join(places[:_SHOWN]) + more


def find_diverged_rows(
    work: GradientAccumulator, step: int, parts: Sequence[MicroBatch]
) -> list[str]:
    """The places of the examples in those batches of a step that gave what is not a number.

    Each batch is computed once more by itself, which its own dropout makes the same as before. If
    none is to blame alone, all of the step's are. Every process calls it.
    """
    mine = [place for part in parts if _is_bad(work, step, part) for place in part.prepared.places]
    found = [place for theirs in work.workers.all_gather_object(mine) for place in theirs]
    if found:
        return list(dict.fromkeys(found))
    mine = [place for part in parts if part.counts for place in part.prepared.places]
    return [place for theirs in work.workers.all_gather_object(mine) for place in theirs]


def _is_bad(work: GradientAccumulator, step: int, part: MicroBatch) -> bool:
    zero_gradients(work.model)
    postpone_reduction(work.model, postponed=False)
    if isinstance(work.objective, JointObjective):
        result = work.vectors(work.objective, step, part)
        backward(result.sum())
    else:
        result = work.loss(step, part)
        backward(result)
    # All are looked at, whatever is found on the way: shares are put together by all processes.
    finite = [
        to_full_tensor(torch.isfinite(tensor).all()) for tensor in (result, *gradients(work.model))
    ]
    return not all(bool(is_finite) for is_finite in finite)

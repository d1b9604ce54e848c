"""The batches of a step: how processes share them, and what goes to the device for each."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bothways.nn.lengths import Lengths
from bothways.nn.packed_encoder import to_tensor
from bothways.training.data.dataset import Dataset
from bothways.training.distributed.processes import Workers
from bothways.training.engine.rng import generator
from bothways.training.engine.sampler import assign_batches
from bothways.training.model import Batch
from bothways.training.objectives.objective import Objective, PreparedBatch
from bothways.training.resolved_settings import ResolvedSettings

__all__ = ["MicroBatch", "prepare_step", "to_device"]


@dataclasses.dataclass(frozen=True, eq=False)
class MicroBatch:
    """A batch of a step: what one process computes at a time.

    number: which batch of the step it is, over all processes.
    pieces: how many sequences each of its examples has.
    counts: whether it is learned from; False for one that is computed to keep step with others.
    """

    number: int
    prepared: PreparedBatch
    pieces: tuple[int, ...]
    counts: bool


def prepare_step(
    objective: Objective,
    data: Dataset,
    step: int,
    batches: Sequence[np.ndarray],
    workers: Workers,
    settings: ResolvedSettings,
) -> list[MicroBatch]:
    """This process' share of a step's batches, ready to be computed.

    Sharded weights are gathered by all processes together, and joint losses compare vectors of all,
    so there is something to compute for each: who has no batch left computes the step's first once
    more, and it does not count.
    """
    mine = [
        (number, batch, True)
        for number, batch in assign_batches(batches, workers.rank, workers.size)
    ]
    wanted = math.ceil(len(batches) / workers.size) if settings.sharding == "sharded" else 1
    mine += [(0, batches[0], False)] * (wanted - len(mine))
    parts = []
    for number, batch, counts in mine:
        examples = [data[index] for index in batch.tolist()]
        rng = generator(settings.seed, "targets", step, number)
        pieces = tuple(len(example.pieces) for example in examples)
        parts.append(MicroBatch(number, objective.prepare(examples, rng), pieces, counts))
    return parts


def to_device(prepared: PreparedBatch, device: torch.device) -> Batch:
    """A prepared batch as tensors on a device."""

    def move(array: np.ndarray) -> Tensor:
        return to_tensor(array).to(device)

    packed = prepared.packed
    return Batch(
        values=move(packed.values),
        lengths=Lengths(packed.lengths, device),
        segments=None if packed.segments is None else move(packed.segments),
        targets={name: move(array) for name, array in prepared.targets.items()},
    )

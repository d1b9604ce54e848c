"""Microbatches: the batches of a step, how processes share them, and their move to the device."""

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
from bothways.training.model import Batch, MergedWindows
from bothways.training.objectives.objective import Objective, PreparedBatch
from bothways.training.resolved_settings import ResolvedSettings

__all__ = ["MicroBatch", "prepare_step", "to_device"]


@dataclasses.dataclass(frozen=True, eq=False)
class MicroBatch:
    """A batch that one process computes at a time.

    index: its index among the step's batches, over all processes.
    sequences_per_example: the number of sequences of each of its examples.
    num_tokens: the number of tokens of its examples.
    contributes: whether it adds to the gradient; False for a batch that a process computes only to
        take part in communication.
    """

    index: int
    prepared: PreparedBatch
    sequences_per_example: tuple[int, ...]
    num_tokens: int
    contributes: bool


def prepare_step(
    objective: Objective,
    data: Dataset,
    step: int,
    batches: Sequence[np.ndarray],
    workers: Workers,
    settings: ResolvedSettings,
) -> list[MicroBatch]:
    """Prepare this process's share of a step's batches.

    All processes gather sharded weights together, and joint losses compare the vectors of all
    processes. So every process computes equally often: one without batches left repeats the step's
    first batch, which then does not contribute.
    """
    assigned = [
        (index, batch, True) for index, batch in assign_batches(batches, workers.rank, workers.size)
    ]
    needed = math.ceil(len(batches) / workers.size) if settings.sharding == "sharded" else 1
    assigned += [(0, batches[0], False)] * (needed - len(assigned))
    microbatches = []
    for index, batch, contributes in assigned:
        examples = [data[row] for row in batch.tolist()]
        rng = generator(settings.seed, "targets", step, index)
        counts = tuple(len(example.sequences) for example in examples)
        tokens = int(data.lengths[batch].sum())
        prepared = objective.prepare(examples, rng)
        microbatches.append(MicroBatch(index, prepared, counts, tokens, contributes))
    return microbatches


def to_device(prepared: PreparedBatch, device: torch.device) -> Batch:
    """Copy a prepared batch to a device, as tensors."""

    def move(array: np.ndarray) -> Tensor:
        return to_tensor(array).to(device)

    packed, merge = prepared.packed, prepared.merge
    windows = None
    if merge is not None:
        lengths = Lengths(merge.lengths, device)
        windows = MergedWindows(move(merge.index), move(merge.shares), lengths)
    return Batch(
        values=move(packed.values),
        lengths=Lengths(packed.lengths, device, packed.content),
        segments=None if packed.segments is None else move(packed.segments),
        targets={name: move(array) for name, array in prepared.targets.items()},
        windows=windows,
    )

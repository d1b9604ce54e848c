from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from bothways.training.distributed.processes import Workers
from bothways.training.engine.microbatches import MicroBatch, prepare_step, to_device
from bothways.training.resolved_settings import resolve_settings

MakeRun = Callable[..., Any]
CPU = torch.device("cpu")


def parts_of(run: Any, batches: Sequence[Sequence[int]], rank: int, size: int) -> list[MicroBatch]:
    settings = resolve_settings(
        run.settings, run.train.lengths, from_scratch=True, gpu=False, bf16=False
    )
    arrays = [np.array(batch) for batch in batches]
    return prepare_step(run.objective, run.train, 0, arrays, Workers(rank, size, CPU), settings)


def test_several_processes_prepare_the_same_batches_as_one(tiny_run: MakeRun) -> None:
    """Chance included: what is replaced depends on the batch, and not on who prepares it."""
    run = tiny_run()
    batches = [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11, 12, 13, 14]]
    alone = parts_of(run, batches, 0, 1)
    shared = sorted(
        parts_of(run, batches, 0, 2) + parts_of(run, batches, 1, 2), key=lambda part: part.index
    )
    for one, other in zip(alone, shared, strict=True):
        assert one.index == other.index
        assert one.prepared.places == other.prepared.places
        assert np.array_equal(one.prepared.packed.values, other.prepared.packed.values)


def test_a_process_without_a_batch_computes_one_that_does_not_contribute(tiny_run: MakeRun) -> None:
    run = tiny_run()
    (part,) = parts_of(run, [[0, 1], [2]], 2, 3)
    assert (part.index, part.contributes) == (0, False)
    run = run.with_settings(sharding="sharded")
    parts = parts_of(run, [[0], [1], [2]], 1, 2)
    assert [(part.index, part.contributes) for part in parts] == [(1, True), (0, False)]


def test_the_sequences_of_each_example_are_counted(pairs_run: MakeRun) -> None:
    (part,) = parts_of(pairs_run(), [[0, 1, 2]], 0, 1)
    assert part.sequences_per_example == (3, 2, 2)


def test_a_batch_becomes_tensors_of_the_same_numbers(tiny_run: MakeRun) -> None:
    (part,) = parts_of(tiny_run(), [[3, 1]], 0, 1)
    batch = to_device(part.prepared, CPU)
    assert batch.values.tolist() == part.prepared.packed.values.tolist()
    assert batch.lengths.each == tuple(part.prepared.packed.lengths)
    assert batch.targets["labels"].tolist() == [1, 1]
    assert batch.segments is None

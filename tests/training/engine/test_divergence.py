from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from bothways.training.distributed.processes import Workers
from bothways.training.engine.divergence import find_diverged_rows, summarize_places
from bothways.training.engine.microbatches import prepare_step
from bothways.training.engine.step import GradientAccumulator
from bothways.training.resolved_settings import resolve_settings

MakeRun = Callable[..., Any]
ALONE = Workers(0, 1, torch.device("cpu"))


def make_work(run: Any, batches: list[list[int]]) -> tuple[GradientAccumulator, list[Any]]:
    settings = resolve_settings(
        run.settings, run.train.lengths, from_scratch=True, gpu=False, bf16=False
    )
    arrays = [np.array(batch) for batch in batches]
    parts = prepare_step(run.objective, run.train, 0, arrays, ALONE, settings)
    return GradientAccumulator(run.build_model(), run.objective, ALONE, settings), parts


def rows(*numbers: int) -> list[str]:
    return [f"data.csv, row {number + 1}" for number in numbers]


def test_the_batch_with_a_loss_that_is_not_finite_is_found(tiny_run: MakeRun) -> None:
    run = tiny_run()
    work, parts = make_work(run, [[0, 1], [2, 3], [4]])
    losses = iter([1.0, float("nan"), 1.0])
    loss_of = run.objective.loss
    run.objective.loss = lambda *args: loss_of(*args) * next(losses)
    assert find_diverged_rows(work, 0, parts) == rows(2, 3)


def test_if_no_batch_alone_diverges_all_rows_are_named(tiny_run: MakeRun) -> None:
    work, parts = make_work(tiny_run(), [[0, 1], [2, 3]])
    assert find_diverged_rows(work, 0, parts) == rows(0, 1, 2, 3)


def test_the_batch_with_vectors_that_are_not_finite_is_found(pairs_run: MakeRun) -> None:
    run = pairs_run()
    work, parts = make_work(run, [[0, 1], [2]])
    vectors_of = run.objective.vectors
    run.objective.vectors = lambda model, batch: (
        vectors_of(model, batch)
        * (1.0 if len(batch.targets["sequence_counts"]) == 2 else float("inf"))
    )
    assert find_diverged_rows(work, 0, parts) == ["pairs.csv, row 3"]


def test_many_rows_are_counted_after_the_first() -> None:
    assert summarize_places(rows(0, 1)) == "data.csv, row 1, data.csv, row 2"
    assert summarize_places([str(number) for number in range(1000)]) == (
        "0, 1, 2, 3, 4, 5, 6, 7 and 992 more"
    )

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from bothways.training.distributed.processes import Workers
from bothways.training.engine.evaluation import evaluate, validate
from bothways.training.resolved_settings import ResolvedSettings, resolve_settings

MakeRun = Callable[..., Any]
ALONE = Workers(0, 1, torch.device("cpu"))


def resolve(run: Any) -> ResolvedSettings:
    settings: ResolvedSettings = resolve_settings(
        run.settings, run.train.lengths, from_scratch=True, gpu=False, bf16=False
    )
    return settings


class Share(Workers):
    """One of several processes that hear nothing from one another."""

    def gather_to_main(self, value: Any) -> list[Any]:
        return [value]


def test_every_example_is_evaluated_once_without_dropout(tiny_run: MakeRun) -> None:
    run = tiny_run()
    model = run.build_model().train()
    once, again = (evaluate(model, run.objective, run.validation, resolve(run)) for _ in range(2))
    assert len(once["loss"]) == len(run.validation)
    assert all(np.array_equal(once[name], again[name]) for name in once)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_validation_returns_the_metrics_of_the_objective(tiny_run: MakeRun) -> None:
    run = tiny_run()
    model, settings = run.build_model(), resolve(run)
    evaluated = evaluate(model, run.objective, run.validation, settings)
    figures = validate(model, run.objective, run.validation, settings, ALONE)
    assert figures == run.objective.metrics(evaluated)
    assert figures["loss"] == pytest.approx(evaluated["loss"].mean())


@pytest.mark.parametrize("size", [2, 3])
def test_processes_share_the_examples(tiny_run: MakeRun, size: int) -> None:
    run = tiny_run()
    model, settings = run.build_model(), resolve(run)

    def of(workers: Workers) -> Mapping[str, np.ndarray]:
        return evaluate(model, run.objective, run.validation, settings, workers)

    shares = [of(Share(rank, size, ALONE.device))["loss"] for rank in range(size)]
    assert all(len(losses) for losses in shares)
    whole = np.sort(of(ALONE)["loss"])
    assert np.allclose(np.sort(np.concatenate(shares)), whole, rtol=1e-6)

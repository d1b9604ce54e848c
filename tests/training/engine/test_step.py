import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bothways.training.distributed.processes import Workers
from bothways.training.engine.microbatches import MicroBatch, prepare_step, to_device
from bothways.training.engine.step import GradientAccumulator, clip_gradients
from bothways.training.model import TrainedModel
from bothways.training.resolved_settings import ResolvedSettings, resolve_settings

MakeRun = Callable[..., Any]
ALONE = Workers(0, 1, torch.device("cpu"))

ROUNDING = 2e-6
"""Of float32 sums that are added up in another order, relative to the largest gradient: 6e-8 is one
rounding, and some tens of them add up here."""


HALF = 0.03
"""Of the largest gradient: bf16 keeps 8 bits, 0.4 %, and some layers add up."""


def resolve(run: Any) -> ResolvedSettings:
    settings: ResolvedSettings = resolve_settings(
        run.settings, run.train.lengths, from_scratch=True, gpu=False, bf16=False
    )
    return settings


def without_dropout(model: TrainedModel) -> TrainedModel:
    return model.eval()


def parts_of(
    run: Any, batches: Sequence[Sequence[int]], workers: Workers = ALONE
) -> list[MicroBatch]:
    arrays = [np.array(batch) for batch in batches]
    return prepare_step(run.objective, run.train, 0, arrays, workers, resolve(run))


def gradient(
    run: Any, model: TrainedModel, parts: Sequence[MicroBatch]
) -> tuple[float, list[Tensor]]:
    found = GradientAccumulator(model, run.objective, ALONE, resolve(run)).accumulate(0, parts)
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    return found.loss, gradients


def assert_close(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    scale = max(float(tensor.abs().max()) for tensor in expected)
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).abs().max()) <= ROUNDING * scale


class Unchanged:
    """An objective whose preparation changes nothing, so that batches may be cut differently."""

    @staticmethod
    def of(run: Any) -> Any:
        prepare = run.objective.prepare
        run.objective.prepare = lambda examples, _: prepare(examples, NeverRandom())
        return run


class NeverRandom:
    def random(self) -> float:
        return 1.0


CUTS = [[[0, 1, 2, 3, 4, 5, 6]], [[0, 1, 2], [3, 4, 5, 6]], [[0], [1, 2], [3], [4, 5, 6]]]


def test_the_gradient_does_not_depend_on_the_microbatches(tiny_run: MakeRun) -> None:
    run = Unchanged.of(tiny_run())
    model = without_dropout(run.build_model())
    loss, expected = gradient(run, model, parts_of(run, CUTS[0]))
    for cut in CUTS[1:]:
        other_loss, found = gradient(run, model, parts_of(run, cut))
        assert other_loss == pytest.approx(loss, rel=ROUNDING)
        assert_close(found, expected)


def test_the_gradient_is_that_of_the_mean_over_targets(tiny_run: MakeRun) -> None:
    run = Unchanged.of(tiny_run())
    model = without_dropout(run.build_model())
    loss, found = gradient(run, model, parts_of(run, CUTS[2]))
    model.zero_grad()
    (whole,) = parts_of(run, CUTS[0])
    mean = run.objective.loss(model, to_device(whole.prepared, ALONE.device)) / 7
    mean.backward()
    assert loss == pytest.approx(mean.item(), rel=ROUNDING)
    assert_close(found, [p.grad for p in model.parameters() if p.grad is not None])


def test_a_joint_gradient_does_not_depend_on_the_microbatches(pairs_run: MakeRun) -> None:
    run = pairs_run()
    model = without_dropout(run.build_model())
    loss, expected = gradient(run, model, parts_of(run, CUTS[0]))
    for cut in CUTS[1:]:
        other_loss, found = gradient(run, model, parts_of(run, cut))
        assert other_loss == pytest.approx(loss, rel=ROUNDING)
        assert_close(found, expected)


def test_a_joint_gradient_is_that_of_one_loss_with_the_dropout_of_each_batch(
    pairs_run: MakeRun,
) -> None:
    """Every batch is computed twice; with another dropout the second time it would not be."""
    run = pairs_run()
    model = run.build_model().train()
    parts = parts_of(run, CUTS[1])
    work = GradientAccumulator(model, run.objective, ALONE, resolve(run))
    loss, found = gradient(run, model, parts)
    model.zero_grad()
    vectors = torch.cat([work.vectors(run.objective, 0, part) for part in parts])
    pieces = [count for part in parts for count in part.sequences_per_example]
    joint = run.objective.joint_loss(vectors, pieces) / 7
    joint.backward()
    assert loss == pytest.approx(joint.item(), rel=ROUNDING)
    assert_close(found, [p.grad for p in model.parameters() if p.grad is not None])


def test_dropout_belongs_to_a_batch_of_a_step_and_to_nothing_else(tiny_run: MakeRun) -> None:
    run = Unchanged.of(tiny_run())
    model = run.build_model().train()
    work = GradientAccumulator(model, run.objective, ALONE, resolve(run))
    first, second = parts_of(run, [[0, 1, 2], [0, 1, 2]])
    assert work.loss(0, first) == work.loss(0, first)
    assert work.loss(0, first) != work.loss(0, second)
    assert work.loss(0, first) != work.loss(1, first)


def test_a_batch_that_does_not_contribute_adds_nothing(
    tiny_run: MakeRun, pairs_run: MakeRun
) -> None:
    for run in (Unchanged.of(tiny_run()), pairs_run()):
        model = without_dropout(run.build_model())
        parts = parts_of(run, CUTS[1])
        loss, expected = gradient(run, model, parts)
        other_loss, found = gradient(
            run, model, [*parts, dataclasses.replace(parts[0], contributes=False)]
        )
        assert other_loss == loss
        assert_close(found, expected)


def test_a_step_without_targets_has_no_gradient(tiny_run: MakeRun) -> None:
    run = tiny_run()
    prepare, loss_of = run.objective.prepare, run.objective.loss
    run.objective.prepare = lambda *args: dataclasses.replace(prepare(*args), weight=0.0)
    run.objective.loss = lambda *args: 0 * loss_of(*args)
    loss, found = gradient(run, run.build_model(), parts_of(run, CUTS[1]))
    assert loss == 0
    assert all(not tensor.any() for tensor in found)


def test_bf16_applies_to_products_and_not_to_gradients(tiny_run: MakeRun) -> None:
    """On a CPU here, which has no use for it, to see that it reaches the forward pass."""
    run = Unchanged.of(tiny_run())
    model = without_dropout(run.build_model())
    parts = parts_of(run, CUTS[1])
    loss, exact = gradient(run, model, parts)
    half = dataclasses.replace(resolve(run), precision="bf16")
    found = GradientAccumulator(model, run.objective, ALONE, half).accumulate(0, parts)
    assert found.loss != loss
    assert found.loss == pytest.approx(loss, rel=HALF)
    scale = max(float(tensor.abs().max()) for tensor in exact)
    for parameter, expected in zip(model.parameters(), exact, strict=True):
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float32
        assert float((parameter.grad - expected).abs().max()) <= HALF * scale


def test_tokens_are_counted(pairs_run: MakeRun) -> None:
    run = pairs_run()
    work = GradientAccumulator(run.build_model(), run.objective, ALONE, resolve(run))
    assert work.accumulate(0, parts_of(run, CUTS[2])).tokens == run.train.lengths[:7].sum()


@pytest.mark.parametrize(("limit", "expected"), [(0.5, 0.5), (100.0, 13.0), (0.0, 13.0)])
def test_a_gradient_is_scaled_down_to_the_limit(limit: float, expected: float) -> None:
    model = nn.Linear(2, 1)
    model.weight.grad, model.bias.grad = torch.tensor([[3.0, 4.0]]), torch.tensor([12.0])
    assert clip_gradients(model, limit) == pytest.approx(13.0)
    assert math.hypot(*model.weight.grad[0].tolist(), model.bias.grad.item()) == pytest.approx(
        expected
    )

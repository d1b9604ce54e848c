"""The moving average of weights."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bothways.checkpoints import read_folder
from bothways.errors import CheckpointError
from bothways.training.engine.averaging import WeightAverage

MakeRun = Callable[..., Any]


def make_average(steps: float) -> tuple[nn.Parameter, WeightAverage]:
    weight = nn.Parameter(torch.zeros(2))
    frozen = nn.Parameter(torch.ones(1), requires_grad=False)
    return weight, WeightAverage({"a": weight, "frozen": frozen}, steps)


def walk(weight: nn.Parameter, average: WeightAverage, steps: int) -> None:
    for step in range(1, steps + 1):
        with torch.no_grad():
            weight.fill_(float(step))
        average.update(step)


def test_the_average_reaches_back_a_number_of_steps() -> None:
    weight, average = make_average(10.0)
    walk(weight, average, 1000)
    with average.in_place_of_weights():
        assert torch.allclose(weight, torch.full((2,), 991.0))  # 1000 - (10 - 1)
    assert torch.equal(weight, torch.full((2,), 1000.0))


def test_the_random_weights_of_the_start_soon_count_for_nothing() -> None:
    weight, average = make_average(1e6)
    with torch.no_grad():
        weight.fill_(1.0)
    for step in range(1, 101):
        average.update(step)
    with average.in_place_of_weights():
        assert torch.allclose(weight, torch.ones(2), atol=1e-6)


def test_the_weights_return_after_an_error() -> None:
    weight, average = make_average(10.0)
    walk(weight, average, 5)
    with pytest.raises(ZeroDivisionError), average.in_place_of_weights():
        raise ZeroDivisionError
    assert torch.equal(weight, torch.full((2,), 5.0))


def test_a_checkpoint_restores_the_average() -> None:
    weight, average = make_average(10.0)
    walk(weight, average, 5)
    arrays = {name: array.copy() for name, array in average.arrays().items()}
    assert arrays.keys() == {"a.average"}
    other_weight, other = make_average(10.0)
    other.load(arrays)
    walk(weight, average, 3)
    walk(other_weight, other, 3)
    assert np.array_equal(average.arrays()["a.average"], other.arrays()["a.average"])
    with pytest.raises(CheckpointError, match="the average of weight 'a' is missing"):
        other.load({})
    with pytest.raises(CheckpointError, match="the average of weight 'a' is missing or misshapen"):
        other.load({"a.average": np.zeros(3, np.float32)})


def test_a_run_validates_and_keeps_the_average(tiny_run: MakeRun) -> None:
    plain = tiny_run().with_settings(ema=0.0)
    plain.start()
    last = plain.model.to_weights()
    averaged = tiny_run().with_settings(ema=0.5)
    averaged.out = averaged.out.with_name("averaged")
    validated: list[dict[str, np.ndarray]] = []

    def metrics(_: Any) -> dict[str, float]:
        validated.append(averaged.model.to_weights())
        return {"loss": 1.0 / len(validated)}

    averaged.objective.metrics = metrics
    averaged.start()
    kept = read_folder(averaged.out).all_weights
    assert all(np.array_equal(kept[name], array) for name, array in validated[-1].items())
    assert any(not np.array_equal(kept[name], array) for name, array in last.items())

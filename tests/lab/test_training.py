import math

import pytest
import torch
from torch import Tensor, nn

from bothways.lab.training import Fitted, fit, search, thinned
from bothways.nn.lengths import Lengths
from bothways.training.model import Batch

SLOPE = 3.0


class Line(nn.Module):
    """y = w x, with dropout where it is asked for."""

    def __init__(self, start: float = 0.0, dropout: float = 0.0) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor([start]))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        dropped: Tensor = self.dropout(x * self.slope)
        return dropped


def points(seed: int, step: int) -> Batch:
    x = torch.randn(16, generator=torch.Generator().manual_seed(1000 * seed + step))
    return Batch(x, Lengths([4, 12]), None, {"y": SLOPE * x})


def squared_error(model: nn.Module, batch: Batch) -> Tensor:
    error: Tensor = model(batch.values) - batch.targets["y"]
    return error.square().mean()


def fit_line(model: Line, steps: int = 60, seed: int = 0) -> Fitted:
    return fit(
        model, lambda step: points(seed, step), squared_error, steps=steps, peak_rate=0.2, seed=seed
    )


def test_a_line_is_found_and_what_was_read_is_counted() -> None:
    model = Line()
    fitted = fit_line(model)
    assert abs(float(model.slope.detach()) - SLOPE) < 0.15  # of 3; it starts at 0
    assert fitted.losses[-1] < fitted.losses[0] / 500
    assert len(fitted.losses) == 60
    assert fitted.tokens == 60 * 16
    assert fitted.finished
    assert not model.training


def test_the_same_arguments_give_the_same_bits() -> None:
    runs = [fit_line(Line(dropout=0.5)).losses for _ in range(2)]
    assert runs[0] == runs[1]
    assert fit_line(Line(dropout=0.5), seed=1).losses != runs[0]


def test_fitting_leaves_the_state_of_torchs_generator_alone() -> None:
    before = torch.get_rng_state()
    fit_line(Line(dropout=0.5), steps=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_gradients_are_clipped_as_in_training() -> None:
    """AdamW divides by the gradient's size, but remembers: one huge gradient would stop it."""

    def spiked(model: nn.Module, batch: Batch) -> Tensor:
        return squared_error(model, batch) * batch.targets["scale"]

    def batches(step: int) -> Batch:
        batch = points(0, step)
        scale = torch.tensor(1e6 if step == 3 else 1.0)
        return Batch(batch.values, batch.lengths, None, {**batch.targets, "scale": scale})

    model = Line()
    fit(model, batches, spiked, steps=60, peak_rate=0.2, seed=0)
    assert abs(float(model.slope.detach()) - SLOPE) < 0.15  # without: 2.7


def test_the_share_of_steps_that_is_done_is_told() -> None:
    told: list[float] = []
    fit(Line(), lambda step: points(0, step), squared_error, steps=4, peak_rate=0.1, seed=0,
        told=told.append)  # fmt: skip
    assert told == [0.25, 0.5, 0.75, 1]


def test_a_search_tells_the_share_of_all_its_runs() -> None:
    told: list[float] = []
    search(lambda seed: Line(), points, squared_error, lambda model: 0.0, steps=2, seeds=(0, 1),
           rates=(0.1, 0.2), told=told.append)  # fmt: skip
    assert told == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])


def test_a_run_ends_at_a_loss_that_is_no_number_with_the_weights_before_it() -> None:
    def broken(model: nn.Module, batch: Batch) -> Tensor:
        return squared_error(model, batch) * batch.targets["scale"]

    def batches(step: int) -> Batch:
        batch = points(0, step)
        scale = torch.tensor(math.nan if step == 3 else 1.0)
        return Batch(batch.values, batch.lengths, None, {**batch.targets, "scale": scale})

    model = Line()
    fitted = fit(model, batches, broken, steps=10, peak_rate=0.1, seed=0)
    assert not fitted.finished
    assert len(fitted.losses) == 4
    assert torch.isfinite(model.slope).all()


def test_a_search_takes_the_best_rate_of_the_first_seed_for_all_seeds() -> None:
    built: list[int] = []

    def build(seed: int) -> nn.Module:
        built.append(seed)
        return Line(start=SLOPE + seed / 10)

    def score(model: nn.Module) -> float:
        (slope,) = model.parameters()
        return -abs(float(slope.detach()) - SLOPE)

    found = search(
        build, points, squared_error, score, steps=30, seeds=(4, 5, 6), rates=(1e-4, 0.1, 1e-3)
    )
    assert found.rate == 0.1
    assert list(found.scores) == [1e-4, 1e-3, 0.1]
    assert built == [4, 4, 4, 5, 6]
    assert len(found.models) == len(found.fitted) == 3
    assert all(score(model) > -0.2 for model in found.models)


def test_a_thinned_curve_keeps_its_course() -> None:
    assert thinned([1.0, 2.0, 3.0]) == [1.0, 2.0, 3.0]
    curve = thinned([float(step) for step in range(1000)], points=10)
    assert curve == [49.5 + 100 * part for part in range(10)]

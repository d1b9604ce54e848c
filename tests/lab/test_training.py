import math

import pytest
import torch
from torch import Tensor, nn

from bothways.lab.training import FitResult, downsample, fit, search_learning_rate
from bothways.nn.lengths import Lengths
from bothways.training.model import Batch

SLOPE = 3.0


class Line(nn.Module):
    """y = w x, with optional dropout."""

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


def fit_line(model: Line, steps: int = 60, seed: int = 0) -> FitResult:
    return fit(
        model,
        lambda step: points(seed, step),
        squared_error,
        steps=steps,
        peak_learning_rate=0.2,
        seed=seed,
    )


def test_a_slope_is_learned_and_tokens_are_counted() -> None:
    model = Line()
    result = fit_line(model)
    assert abs(float(model.slope.detach()) - SLOPE) < 0.15  # of 3; it starts at 0
    assert result.losses[-1] < result.losses[0] / 500
    assert len(result.losses) == 60
    assert result.tokens == 60 * 16
    assert result.finished
    assert not model.training


def test_the_same_arguments_give_the_same_bits() -> None:
    runs = [fit_line(Line(dropout=0.5)).losses for _ in range(2)]
    assert runs[0] == runs[1]
    assert fit_line(Line(dropout=0.5), seed=1).losses != runs[0]


def test_fit_does_not_change_the_state_of_the_torch_generator() -> None:
    before = torch.get_rng_state()
    fit_line(Line(dropout=0.5), steps=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_gradients_are_clipped_as_in_training() -> None:
    """One huge gradient would stay in the moments of AdamW and stop all progress."""

    def spiked(model: nn.Module, batch: Batch) -> Tensor:
        return squared_error(model, batch) * batch.targets["scale"]

    def batches(step: int) -> Batch:
        batch = points(0, step)
        scale = torch.tensor(1e6 if step == 3 else 1.0)
        return Batch(batch.values, batch.lengths, None, {**batch.targets, "scale": scale})

    model = Line()
    fit(model, batches, spiked, steps=60, peak_learning_rate=0.2, seed=0)
    assert abs(float(model.slope.detach()) - SLOPE) < 0.15  # without: 2.7


def test_fit_reports_the_completed_fraction() -> None:
    fractions: list[float] = []
    fit(
        Line(),
        lambda step: points(0, step),
        squared_error,
        steps=4,
        peak_learning_rate=0.1,
        seed=0,
        progress=fractions.append,
    )
    assert fractions == [0.25, 0.5, 0.75, 1]


def test_a_search_reports_the_completed_fraction_of_all_runs() -> None:
    fractions: list[float] = []
    search_learning_rate(
        lambda seed: Line(),
        points,
        squared_error,
        lambda model: 0.0,
        steps=2,
        seeds=(0, 1),
        learning_rates=(0.1, 0.2),
        progress=fractions.append,
    )
    assert fractions == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])


def test_a_run_stops_at_a_nan_loss_with_the_weights_before_it() -> None:
    def broken(model: nn.Module, batch: Batch) -> Tensor:
        return squared_error(model, batch) * batch.targets["scale"]

    def batches(step: int) -> Batch:
        batch = points(0, step)
        scale = torch.tensor(math.nan if step == 3 else 1.0)
        return Batch(batch.values, batch.lengths, None, {**batch.targets, "scale": scale})

    model = Line()
    result = fit(model, batches, broken, steps=10, peak_learning_rate=0.1, seed=0)
    assert not result.finished
    assert len(result.losses) == 4
    assert torch.isfinite(model.slope).all()


def test_a_search_uses_the_best_learning_rate_of_the_first_seed_for_all_seeds() -> None:
    built: list[int] = []

    def build(seed: int) -> nn.Module:
        built.append(seed)
        return Line(start=SLOPE + seed / 10)

    def score(model: nn.Module) -> float:
        (slope,) = model.parameters()
        return -abs(float(slope.detach()) - SLOPE)

    search = search_learning_rate(
        build,
        points,
        squared_error,
        score,
        steps=30,
        seeds=(4, 5, 6),
        learning_rates=(1e-4, 0.1, 1e-3),
    )
    assert search.learning_rate == 0.1
    assert list(search.scores) == [1e-4, 1e-3, 0.1]
    assert built == [4, 4, 4, 5, 6]
    assert list(search.models) == list(search.fits) == [4, 5, 6]
    assert all(score(model) > -0.2 for model in search.models.values())


def test_a_downsampled_curve_has_the_means_of_its_parts() -> None:
    assert downsample([1.0, 2.0, 3.0]) == [1.0, 2.0, 3.0]
    curve = downsample([float(step) for step in range(1000)], points=10)
    assert curve == [49.5 + 100 * part for part in range(10)]

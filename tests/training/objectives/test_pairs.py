"""Losses of scored and labeled pairs, against their formulas."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from bothways.errors import ConfigError
from bothways.model.config import EncoderConfig
from bothways.model.pooling import Pooling
from bothways.training.data.dataset import Example
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.pairs import LabeledPairs, PairObjective, ScoredPairs

COSINES = np.array([[0.9, 0.8], [0.2, -0.3], [-0.5, 0.7]])
TARGETS = np.array([1.0, 0.0, 1.0])

Make = Callable[..., PairObjective]


@pytest.fixture
def make_objective(make_config: Callable[..., EncoderConfig]) -> Make:
    def make(objective: type[PairObjective], **fields: object) -> PairObjective:
        return objective(config=make_config(), pooling=Pooling(), **fields)  # type: ignore[arg-type]

    return make


def losses(objective: PairObjective, targets: np.ndarray) -> list[float]:
    found: list[float] = objective.loss_by_pair(
        torch.from_numpy(COSINES), torch.from_numpy(targets)
    ).tolist()
    return found


def test_the_loss_of_scored_pairs_is_the_squared_error_of_the_cosine(make_objective: Make) -> None:
    targets = np.array([0.5, 0.0, 1.0])
    expected = [
        np.mean([(c - t) ** 2 for c in row]) for row, t in zip(COSINES, targets, strict=True)
    ]
    assert losses(make_objective(ScoredPairs), targets) == pytest.approx(expected)


def test_the_loss_of_labeled_pairs_attracts_and_repels_up_to_the_margin(
    make_objective: Make,
) -> None:
    def by_hand(cosine: float, label: float) -> float:
        distance = 1 - cosine
        return distance**2 / 2 if label else max(0.0, 0.9 - distance) ** 2 / 2

    expected = [
        np.mean([by_hand(c, t) for c in row]) for row, t in zip(COSINES, TARGETS, strict=True)
    ]
    assert losses(make_objective(LabeledPairs, margin=0.9), TARGETS) == pytest.approx(expected)
    assert losses(make_objective(LabeledPairs, margin=0.5), np.zeros(3))[1] == 0.0


@pytest.mark.parametrize("objective", [ScoredPairs, LabeledPairs])
def test_the_gradient_is_that_of_finite_differences(
    objective: type[PairObjective], make_objective: Make
) -> None:
    cosines = torch.from_numpy(COSINES).requires_grad_()

    def loss(cosine_BW: Tensor) -> Tensor:
        return make_objective(objective).loss_by_pair(cosine_BW, torch.from_numpy(TARGETS)).sum()

    assert torch.autograd.gradcheck(loss, (cosines,))


def test_scores_are_scaled_to_cosines(make_objective: Make) -> None:
    labels = np.array([1.0, 3.0, 5.0], np.float32)
    assert make_objective(ScoredPairs).to_targets(labels).tolist() == [1.0, 3.0, 5.0]
    scaled = make_objective(ScoredPairs, score_range=(1.0, 5.0))
    assert scaled.to_targets(labels).tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("dimensions", [(), (4,)])
def test_the_loss_of_a_batch_is_that_of_its_pairs_alone(
    dimensions: tuple[int, ...],
    make_objective: Make,
    make_examples: Callable[..., list[Example]],
    make_batch: Callable[..., Batch],
    build_model: Callable[..., TrainedModel],
) -> None:
    objective = make_objective(ScoredPairs, dimensions=dimensions)
    model = build_model(None).eval()
    rng = np.random.default_rng(0)
    examples = make_examples(5, lambda _, index: np.array([index / 4], np.float32), pieces=2)

    def loss(batch: list[Example]) -> Tensor:
        return objective.loss(model, make_batch(objective.prepare(batch, rng)))

    alone = torch.stack([loss([example]) for example in examples]).sum().detach()
    torch.testing.assert_close(loss(examples).detach(), alone)
    evaluated = objective.evaluate(model, make_batch(objective.prepare(examples, rng)))
    assert evaluated["targets"].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert evaluated["cosines"].shape == (5, 1 + len(dimensions))
    assert evaluated["loss"].sum() == pytest.approx(alone.item(), rel=1e-5)


@pytest.mark.parametrize("objective", [ScoredPairs, LabeledPairs])
def test_pairs_are_learned(
    objective: type[PairObjective],
    make_objective: Make,
    make_examples: Callable[..., list[Example]],
    build_model: Callable[..., TrainedModel],
    fit: Callable[..., dict[str, float]],
) -> None:
    examples = make_examples(12, lambda _, index: np.array([index % 2], np.float32), pieces=2)
    found = fit(make_objective(objective), examples, build_model(None), 60)
    assert found["loss"] < 0.02
    assert found[objective.monitor.metric] > 0.8


def test_metrics_of_leading_dimensions_have_their_names(make_objective: Make) -> None:
    objective = make_objective(LabeledPairs, dimensions=(4,))
    evaluated = {"cosines": COSINES, "targets": TARGETS, "loss": np.ones(3)}
    found = objective.metrics(evaluated)
    assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["average_precision of 4 dimensions"] == 1.0
    assert found["accuracy of 4 dimensions"] == 1.0
    assert found["threshold of 4 dimensions"] == pytest.approx(0.2)


def test_a_row_with_negatives_is_no_pair(
    make_objective: Make, make_examples: Callable[..., list[Example]]
) -> None:
    with pytest.raises(ValueError, match="row 0: expected a pair"):
        make_objective(ScoredPairs).prepare(make_examples(1, pieces=3), np.random.default_rng(0))


def test_invalid_options_are_refused(make_objective: Make) -> None:
    with pytest.raises(ConfigError, match=r"margin=3: expected more than 0 and at most 2"):
        make_objective(LabeledPairs, margin=3)
    with pytest.raises(ConfigError, match="the lower score first"):
        make_objective(ScoredPairs, score_range=(5.0, 1.0))
    with pytest.raises(ConfigError, match="dimensions=64: expected 1 to 32"):
        make_objective(ScoredPairs, dimensions=(64,))

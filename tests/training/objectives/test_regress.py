from collections.abc import Callable

import numpy as np
import pytest
import torch

from bothways.errors import ConfigError
from bothways.model.config import EncoderConfig
from bothways.model.heads import Head, HeadLayer
from bothways.training.data.dataset import Example
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.heads import head_for
from bothways.training.objectives.regress import Regress

ROUNDING = 1e-5
"""Of float32."""
TARGETS = np.array([[1.0, 300.0], [2.0, 300.0], [6.0, 300.0]])

Configs = Callable[..., EncoderConfig]


@pytest.fixture
def head(make_config: Configs) -> Head:
    return head_for("values", make_config(), ("x", "y"))


@pytest.fixture
def objective(head: Head) -> Regress:
    return Regress.on(head, TARGETS)


@pytest.fixture
def examples(make_examples: Callable[..., list[Example]]) -> list[Example]:
    return make_examples(3, lambda piece, index: TARGETS[index].astype(np.float32))


def test_targets_are_standardized_and_constants_are_left(objective: Regress) -> None:
    assert objective.mean.tolist() == [3.0, 300.0]
    np.testing.assert_allclose(objective.scale, [np.sqrt(14 / 3), 1.0])


def test_a_batch_has_standardized_targets(objective: Regress, examples: list[Example]) -> None:
    prepared = objective.prepare(examples, np.random.default_rng(0))
    np.testing.assert_allclose(prepared.targets["values"].mean(0), [0, 0], atol=ROUNDING)
    assert prepared.weight == 6


def test_the_head_of_the_folder_predicts_in_the_original_units(
    objective: Regress,
    examples: list[Example],
    head: Head,
    make_batch: Callable[..., Batch],
    build_model: Callable[..., TrainedModel],
) -> None:
    model = build_model(head).eval()
    batch = make_batch(objective.prepare(examples, np.random.default_rng(0)))
    predicted = objective.evaluate(model, batch)["predictions"]
    trained = model.to_weights()
    model.load_weights(objective.to_folder(trained))
    np.testing.assert_allclose(model(batch).detach().numpy(), predicted, rtol=ROUNDING)
    others = [name for name in trained if not name.startswith("heads.classifier")]
    kept = objective.to_folder(trained)
    assert all(kept[name] is trained[name] for name in others)


def test_a_head_of_values_can_be_fine_tuned_on_other_data(objective: Regress, head: Head) -> None:
    other = Regress.on(head, TARGETS * 7 - 5)
    x = np.random.default_rng(0).standard_normal((4, 32))
    rng = np.random.default_rng(1)
    weights = {
        "heads.classifier.weight": rng.standard_normal((2, 32)).astype(np.float32),
        "heads.classifier.bias": rng.standard_normal(2).astype(np.float32),
    }

    def outputs(weights: dict[str, np.ndarray]) -> np.ndarray:
        found: np.ndarray = x @ weights["heads.classifier.weight"].T
        found += weights["heads.classifier.bias"]
        return found

    moved = other.from_folder(objective.to_folder(weights))
    np.testing.assert_allclose(
        outputs(moved) * other.scale + other.mean,
        outputs(weights) * objective.scale + objective.mean,
        rtol=1e-4,  # two conversions in float32
    )


def test_a_folder_without_a_head_is_left_as_it_is(objective: Regress) -> None:
    assert objective.from_folder({"embedding.token.weight": np.ones(2)}).keys() == {
        "embedding.token.weight"
    }


def test_huber_limits_the_gradient_of_large_errors(
    head: Head,
    examples: list[Example],
    make_batch: Callable[..., Batch],
    build_model: Callable[..., TrainedModel],
) -> None:
    objective = Regress.on(head, TARGETS, huber=1.5)
    model = build_model(head)
    batch = make_batch(objective.prepare(examples, np.random.default_rng(0)))
    bias = dict(model.named_weights())["heads.classifier.bias"]
    with torch.no_grad():
        bias.fill_(100.0)
    (gradient,) = torch.autograd.grad(objective.loss(model, batch), bias)
    assert gradient.tolist() == [3 * 1.5, 3 * 1.5]


def test_metrics_of_one_value_have_plain_names(make_config: Configs) -> None:
    one = Regress.on(head_for("values", make_config(), ("x",)), TARGETS[:, :1])
    evaluated = {
        "predictions": np.array([[2.0], [2.0], [9.0]]),
        "targets": TARGETS[:, :1],
        "loss": np.array([[1.0], [0.0], [2.0]]),
    }
    found = one.metrics(evaluated)
    assert found["loss"] == 1.0
    assert found["mae"] == pytest.approx(4 / 3)
    assert found["rmse"] == pytest.approx(np.sqrt(10 / 3))
    assert found["r2"] == pytest.approx(1 - 10 / 14)


def test_metrics_of_several_values_name_the_value(objective: Regress) -> None:
    evaluated = {
        "predictions": TARGETS + np.array([1, 2]),
        "targets": TARGETS,
        "loss": np.ones((3, 2)),
    }
    found = objective.metrics(evaluated)
    assert found["mae of x"] == 1.0
    assert found["rmse of y"] == 2.0
    assert set(found) == {"loss", "r2", "mae of x", "mae of y", "rmse of x", "rmse of y"}


def test_a_last_layer_that_cannot_absorb_a_scale_is_refused(make_config: Configs) -> None:
    layer = HeadLayer(name="heads.classifier", outputs=1, activation="tanh")
    head = Head(task="values", layers=(layer,), pooling="mean", labels=("x",))
    with pytest.raises(ConfigError, match="must be linear"):
        Regress.on(head, TARGETS[:, :1])


def test_fields_that_do_not_fit_are_refused(head: Head) -> None:
    with pytest.raises(ConfigError, match="mean: expected 2 numbers"):
        Regress.on(head, TARGETS[:, :1])
    with pytest.raises(ConfigError, match=r"huber=0\.0"):
        Regress.on(head, TARGETS, huber=0.0)

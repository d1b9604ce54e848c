from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from bothways.errors import ConfigError
from bothways.model.config import EncoderConfig
from bothways.model.heads import Head
from bothways.training.data.dataset import Example
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.classify import (
    Classify,
    ClassifyMany,
    balanced_positive_weights,
    balanced_weights,
)
from bothways.training.objectives.heads import head_for

ROUNDING = 1e-5
"""Of float32."""


@pytest.fixture
def classes(make_config: Callable[..., EncoderConfig]) -> Head:
    return head_for("classes", make_config(), ("a", "b", "c"))


@pytest.fixture
def several(make_config: Callable[..., EncoderConfig]) -> Head:
    return head_for("multilabel", make_config(), ("a", "b", "c"))


@pytest.fixture
def model(classes: Head, build_model: Callable[..., TrainedModel]) -> TrainedModel:
    return build_model(classes)


Examples = Callable[..., list[Example]]
MakeBatch = Callable[..., Batch]


def gradient(objective: Classify, model: TrainedModel, batch: Batch) -> Tensor:
    model.zero_grad()
    torch.autograd.backward(objective.loss(model, batch))
    (weight,) = [w for name, w in model.named_weights() if name == "heads.classifier.weight"]
    assert weight.grad is not None
    return weight.grad.clone()


def test_doubling_a_class_weight_equals_repeating_the_class(
    classes: Head, model: TrainedModel, make_examples: Examples, make_batch: MakeBatch
) -> None:
    examples = make_examples(6, lambda piece, index: np.array(index % 3))
    weighted = Classify(head=classes, class_weights=np.array([1.0, 2.0, 1.0]))
    plain = Classify(head=classes)
    rng = np.random.default_rng(0)
    once = weighted.prepare(examples, rng)
    twice = plain.prepare([*examples, *(e for e in examples if e.target == 1)], rng)
    assert once.weight == twice.weight == 8
    torch.testing.assert_close(
        gradient(weighted, model, make_batch(once)), gradient(plain, model, make_batch(twice))
    )


def test_a_class_of_weight_zero_has_no_effect(
    classes: Head, model: TrainedModel, make_examples: Examples, make_batch: MakeBatch
) -> None:
    examples = make_examples(4, lambda piece, index: np.array(1))
    objective = Classify(head=classes, class_weights=np.array([1.0, 0.0, 1.0]))
    prepared = objective.prepare(examples, np.random.default_rng(0))
    assert prepared.weight == 0
    assert not gradient(objective, model, make_batch(prepared)).any()


def test_metrics_are_of_the_likeliest_label(classes: Head) -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1]])
    found = Classify(head=classes).metrics(
        {
            "probabilities": probabilities,
            "targets": np.array([0, 0, 1, 1]),
            "loss": np.array([1.0, 2.0, 3.0, 4.0]),
            "weights": np.array([1.0, 1.0, 2.0, 1.0]),
        }
    )
    assert found["accuracy"] == 0.75
    assert found["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)  # c does not occur
    assert found["loss"] == 2.0


def test_probabilities_of_classes_sum_to_one(
    classes: Head, model: TrainedModel, make_examples: Examples, make_batch: MakeBatch
) -> None:
    objective = Classify(head=classes)
    examples = make_examples(5, lambda piece, index: np.array(index % 3))
    prepared = objective.prepare(examples, np.random.default_rng(0))
    evaluated = objective.evaluate(model, make_batch(prepared))
    np.testing.assert_allclose(evaluated["probabilities"].sum(1), 1, rtol=ROUNDING)
    assert evaluated["targets"].tolist() == [0, 1, 2, 0, 1]


def test_balanced_weights_make_classes_count_the_same() -> None:
    counts = np.array([10, 30, 0, 60])
    weights = balanced_weights(counts)
    np.testing.assert_allclose(weights * counts, [100 / 3, 100 / 3, 0, 100 / 3])


def test_balanced_positive_weights_make_presence_count_as_absence() -> None:
    counts = np.array([10, 50, 0])
    weights = balanced_positive_weights(counts, 100)
    np.testing.assert_allclose(weights[:2] * counts[:2], [90, 50])
    assert weights[2] == 1


def test_a_present_label_counts_by_its_weight(
    several: Head,
    make_examples: Examples,
    make_batch: MakeBatch,
    build_model: Callable[..., TrainedModel],
) -> None:
    examples = make_examples(1, lambda piece, index: np.array([1, 0, 1], np.float32))
    rng = np.random.default_rng(0)
    objective = ClassifyMany(head=several, positive_weights=np.array([3.0, 5.0, 1.0]))
    prepared = objective.prepare(examples, rng)
    assert prepared.weight == 3 + 1 + 1
    model = build_model(several).eval()
    loss = float(objective.loss(model, make_batch(prepared)).detach())
    p = torch.sigmoid(model(make_batch(prepared))[0]).tolist()
    by_hand = -3 * np.log(p[0]) - np.log(1 - p[1]) - np.log(p[2])
    assert loss == pytest.approx(by_hand, rel=ROUNDING)


def test_metrics_of_several_labels(several: Head) -> None:
    found = ClassifyMany(head=several).metrics(
        {
            "probabilities": np.array([[0.9, 0.1, 0.6], [0.4, 0.1, 0.2]]),
            "targets": np.array([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
            "loss": np.ones((2, 3)),
            "weights": np.ones((2, 3)),
        }
    )
    assert found["accuracy"] == 0.5  # all labels of a sequence must be right
    assert found["micro_f1"] == pytest.approx(2 * 2 / (2 + 3))
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)  # b does not occur


@pytest.mark.parametrize(
    "weights", [np.ones(2), np.array([1.0, -1.0, 1.0]), np.array([1.0, np.nan, 1.0])]
)
def test_weights_must_be_one_for_each_label(
    weights: np.ndarray, classes: Head, several: Head
) -> None:
    with pytest.raises(ConfigError, match="class_weights"):
        Classify(head=classes, class_weights=weights)
    with pytest.raises(ConfigError, match="positive_weights"):
        ClassifyMany(head=several, positive_weights=weights)


def test_label_smoothing_is_a_fraction(classes: Head) -> None:
    with pytest.raises(ConfigError, match=r"label_smoothing=1\.0"):
        Classify(head=classes, label_smoothing=1.0)


def test_examples_without_a_target_are_for_other_objectives(
    classes: Head, make_examples: Examples
) -> None:
    with pytest.raises(ValueError, match="no target"):
        Classify(head=classes).prepare(make_examples(2), np.random.default_rng(0))

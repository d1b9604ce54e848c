"""What holds for every objective."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from bothways.model.config import EncoderConfig
from bothways.model.packing import PackedBatch
from bothways.model.pooling import Pooling
from bothways.training.data.dataset import IGNORED, Example, InputSequence
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.classify import Classify, ClassifyMany
from bothways.training.objectives.contrast import Contrast
from bothways.training.objectives.heads import head_for
from bothways.training.objectives.masked_tokens import MaskedTokens
from bothways.training.objectives.masked_values import MaskedValues
from bothways.training.objectives.objective import JointObjective, Objective, PreparedBatch
from bothways.training.objectives.regress import Regress
from bothways.training.objectives.tag import Tag

ROUNDING = 1e-9
"""Of the largest number: float64 sums in another order."""
FLOAT32_ROUNDING = 1e-5
"""Validation keeps its figures in float32."""

OBJECTIVES = (
    "masked tokens",
    "masked values",
    "classify",
    "classify many",
    "tag",
    "regress",
    "contrast",
)
every_objective = pytest.mark.parametrize("case", OBJECTIVES, indirect=True)
every_additive_objective = pytest.mark.parametrize("case", OBJECTIVES[:-1], indirect=True)

Case = tuple[Objective, list[Example], TrainedModel]


@pytest.fixture
def case(
    request: pytest.FixtureRequest,
    make_config: Callable[..., EncoderConfig],
    make_examples: Callable[..., list[Example]],
    build_model: Callable[..., TrainedModel],
) -> Case:
    """An objective with every option in use, 32 examples for it, and a model."""
    config = make_config()
    objective: Objective
    match request.param:
        case "masked tokens":
            head = head_for("masked_tokens", config)
            objective = MaskedTokens(
                head=head, vocab_size=24, mask_token=3, special_tokens=frozenset({0, 1, 2})
            )
            return objective, make_examples(32), build_model(head)
        case "masked values":
            config = make_config(input="vectors", num_channels=2, vocab_size=0)
            head = head_for("masked_values", config)
            return MaskedValues(head=head), make_series(32), build_model(head, config)
        case "classify":
            head = head_for("classes", config, ("a", "b", "c"), pooling="cls")
            examples = make_examples(32, lambda piece, index: np.array(index % 3))
            weights = np.array([1.0, 0.5, 2.0])
            objective = Classify(head=head, class_weights=weights, label_smoothing=0.01)
        case "classify many":
            head = head_for("multilabel", config, ("a", "b", "c"))
            examples = make_examples(32, some_of_three)
            objective = ClassifyMany(head=head, positive_weights=np.array([1.0, 2.0, 3.0]))
        case "tag":
            head = head_for("tags", config, ("a", "b", "c"))
            examples = make_examples(32, tags_of_neighbors)
            objective = Tag(head=head, class_weights=np.array([1.0, 2.0, 0.5]))
        case "regress":
            head = head_for("values", config, ("x", "y"))
            examples = make_examples(32, lambda piece, i: np.array([i % 7, 1e3 * i], np.float32))
            targets = np.stack([e.target for e in examples if e.target is not None])
            objective = Regress.on(head, targets, huber=2.0)
        case "contrast":
            examples = make_examples(32, pieces=3)
            objective = Contrast(config=config, pooling=Pooling(), dimensions=(8,))
            return objective, examples, build_model(None)
        case unknown:
            raise ValueError(unknown)
    return objective, examples, build_model(head)


def make_series(count: int) -> list[Example]:
    rng = np.random.default_rng(0)
    examples = []
    for index in range(count):
        phase, speed = rng.random(2)
        angle = 6 * phase + (0.3 + speed) * np.arange(10 + index % 3)
        values = np.stack([np.sin(angle), np.cos(angle)], 1).astype(np.float32)
        examples.append(Example((InputSequence(values, None, slice(None)),), None, f"row {index}"))
    return examples


def some_of_three(piece: InputSequence, index: int) -> np.ndarray:
    return np.array([index & 1, index & 2, index & 4], dtype=bool).astype(np.float32)


def tags_of_neighbors(piece: InputSequence, index: int) -> np.ndarray:
    """By the sum of a token and the one before it; none for special ones and the first."""
    labels: np.ndarray = (piece.values + np.roll(piece.values, 1)) % 3
    labels[[0, 1, -1]] = IGNORED
    return labels


@every_objective
def test_a_tiny_model_overfits_32_examples(
    case: Case, fit: Callable[..., dict[str, float]]
) -> None:
    objective, examples, model = case
    found = fit(objective, examples, model, steps=100)
    limits = {
        "accuracy": 0.95,
        "macro_f1": 0.9,
        "micro_f1": 0.95,
        "r2": 0.9,
        "recall@1": 0.95,
        "mrr": 0.95,
        "mrr of 8 dimensions": 0.9,
    }
    reached = {name: found[name] >= limit for name, limit in limits.items() if name in found}
    assert reached, found
    assert all(reached.values()), found


@every_objective
def test_the_monitored_metric_is_among_the_metrics(
    case: Case, fit: Callable[..., dict[str, float]]
) -> None:
    objective, examples, model = case
    found = fit(objective, examples[:5], model, steps=0)
    assert objective.monitor.metric in found
    assert all(np.isfinite(value) for value in found.values())
    better = {"loss": "lower"}.get(objective.monitor.metric, "higher")
    assert objective.monitor.better == better


@every_objective
def test_the_model_s_head_is_the_objective_s(case: Case) -> None:
    objective, _, model = case
    assert objective.head == (None if model.head is None else model.head.head)
    assert isinstance(objective, JointObjective) == (objective.name == "contrast")


@every_objective
def test_the_loss_of_validation_is_that_of_training(
    case: Case, make_batch: Callable[..., Batch]
) -> None:
    objective, examples, model = case
    prepared = objective.prepare(examples, np.random.default_rng(0))
    batch = make_batch(prepared)
    trained = float(objective.loss(model, batch).detach()) / prepared.weight
    validated = objective.metrics(objective.evaluate(model, batch))["loss"]
    assert validated == pytest.approx(trained, rel=FLOAT32_ROUNDING)


@every_additive_objective
def test_the_gradient_of_a_union_is_the_sum_of_the_gradients(
    case: Case, make_batch: Callable[..., Batch]
) -> None:
    objective, examples, model = case
    model.double()
    rng = np.random.default_rng(0)
    parts = [objective.prepare(examples[:9], rng), objective.prepare(examples[9:], rng)]
    union = join(parts)
    summed: dict[str, Tensor] = {}
    loss = 0.0
    for part in parts:
        found, gradient = loss_and_gradient(objective, model, make_batch(part, torch.float64))
        loss += found
        summed = {name: summed.get(name, 0) + gradient[name] for name in gradient}
    joint_loss, joint_gradient = loss_and_gradient(
        objective, model, make_batch(union, torch.float64)
    )
    assert joint_loss == pytest.approx(loss, rel=ROUNDING)
    assert union.weight == pytest.approx(parts[0].weight + parts[1].weight)
    for name, gradient_of_union in joint_gradient.items():
        largest = float(gradient_of_union.abs().max())
        assert (summed[name] - gradient_of_union).abs().max() <= ROUNDING * max(largest, 1), name


@every_objective
def test_preparation_depends_only_on_the_generator(case: Case) -> None:
    objective, examples, _ = case
    first, again = (objective.prepare(examples, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first.packed.values, again.packed.values)
    assert first.weight == again.weight
    assert first.places == [example.place for example in examples]
    for name, array in first.targets.items():
        assert np.array_equal(array, again.targets[name])


@every_objective
def test_preparing_leaves_the_examples_as_they_were(case: Case) -> None:
    objective, examples, _ = case
    before = [[piece.values.copy() for piece in example.sequences] for example in examples]
    objective.prepare(examples, np.random.default_rng(3))
    after = [[piece.values for piece in example.sequences] for example in examples]
    for old, new in zip(before, after, strict=True):
        assert all(map(np.array_equal, old, new))


@every_objective
def test_from_folder_inverts_to_folder(case: Case) -> None:
    objective, _, model = case
    weights = model.to_weights()
    back = objective.from_folder(objective.to_folder(weights))
    assert back.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_allclose(back[name], array, rtol=FLOAT32_ROUNDING, atol=1e-7)


def join(parts: Sequence[PreparedBatch]) -> PreparedBatch:
    """The batch of the examples of all parts, with the masks that they have."""
    starts = np.cumsum([0, *(part.packed.num_tokens for part in parts)])
    targets = {
        name: np.concatenate([part.targets[name] for part in parts]) for name in parts[0].targets
    }
    if "positions" in targets:
        counts = [len(part.targets["positions"]) for part in parts]
        targets["positions"] = targets["positions"] + np.repeat(starts[:-1], counts)
    packed = PackedBatch(
        np.concatenate([part.packed.values for part in parts]),
        np.concatenate([part.packed.lengths for part in parts]),
    )
    places = [place for part in parts for place in part.places]
    return PreparedBatch(packed, targets, sum(part.weight for part in parts), places)


def loss_and_gradient(
    objective: Objective, model: TrainedModel, batch: Batch
) -> tuple[float, dict[str, Tensor]]:
    model.zero_grad()
    loss = objective.loss(model, batch)
    torch.autograd.backward(loss)
    gradient = {
        name: torch.zeros_like(weight) if weight.grad is None else weight.grad.clone()
        for name, weight in model.named_weights()
    }
    return float(loss.detach()), gradient

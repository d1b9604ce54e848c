from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from bothways.errors import ConfigError
from bothways.model.config import EncoderConfig
from bothways.model.pooling import Pooling
from bothways.training.data.dataset import Example, InputSequence
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.contrast import Contrast

ROUNDING = 1e-9
"""Of float64."""
PIECES = (2, 4, 3, 2)
"""Of each example; 11 in all, of which 7 are candidates."""
ANCHORS = (0, 2, 6, 9)
CANDIDATES = (1, 3, 4, 5, 7, 8, 10)

Objectives = Callable[..., Contrast]


@pytest.fixture
def make_objective(make_config: Callable[..., EncoderConfig]) -> Objectives:
    return lambda **fields: Contrast(config=make_config(), **({"pooling": Pooling()} | fields))


def with_identity(vectors: np.ndarray, identity: Sequence[int]) -> Tensor:
    """Vectors (P, D) and which sequences they are of, as `joint_loss` takes them."""
    columns = np.stack([np.zeros(len(identity)), identity], 1)
    return torch.from_numpy(np.concatenate([vectors, columns], 1))


def vectors_of(width: int = 6) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((sum(PIECES), width))


def loss_of(scores: np.ndarray, right: int) -> float:
    """-log softmax at `right`."""
    return float(np.log(np.exp(scores).sum()) - scores[right])


def cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found: np.ndarray = unit @ unit.T
    return found


def by_hand(
    vectors: np.ndarray, identity: Sequence[int], temperature: float, *, symmetric: bool
) -> float:
    """The loss from its definition, pair by pair."""
    score = cosines(vectors) / temperature
    owner = np.repeat(np.arange(len(PIECES)), PIECES)
    total = 0.0
    for example, anchor in enumerate(ANCHORS):
        positive = anchor + 1
        kept = [
            c
            for c in CANDIDATES
            if c == positive
            or (
                identity[c] not in (identity[positive], identity[anchor])
                and not (
                    c == ANCHORS[owner[c]] + 1 and identity[ANCHORS[owner[c]]] == identity[anchor]
                )
            )
        ]
        forth = loss_of(score[anchor, kept], kept.index(positive))
        others = [
            a
            for a in ANCHORS
            if a == anchor
            or (
                identity[a] not in (identity[positive], identity[anchor])
                and identity[a + 1] != identity[positive]
            )
        ]
        back = loss_of(score[positive, others], others.index(anchor))
        total += (forth + back) / 2 if symmetric else forth
        assert example == owner[anchor]
    return total


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(
    "identity",
    [
        range(11),  # all different
        (0, 1, 2, 1, 4, 5, 6, 7, 8, 9, 10),  # two anchors share a positive
        (0, 1, 0, 3, 4, 5, 6, 7, 8, 9, 10),  # two positives share an anchor
        (0, 1, 2, 3, 1, 0, 6, 7, 6, 9, 9),  # negatives, positives that are anchors elsewhere
    ],
)
def test_the_joint_loss_is_its_definition(
    identity: Sequence[int], symmetric: bool, make_objective: Objectives
) -> None:
    objective = make_objective(temperature=0.3, symmetric=symmetric)
    vectors = vectors_of(32)
    found = float(objective.joint_loss(with_identity(vectors, identity), PIECES))
    assert found == pytest.approx(by_hand(vectors, identity, 0.3, symmetric=symmetric))


def test_some_dimensions_alone_are_trained_as_vectors_too(make_objective: Objectives) -> None:
    objective = make_objective(dimensions=(8, 3), symmetric=False)
    vectors, identity = vectors_of(32), range(11)
    expected = np.mean(
        [by_hand(vectors[:, :d], identity, 0.05, symmetric=False) for d in (3, 8, 32)]
    )
    found = float(objective.joint_loss(with_identity(vectors, identity), PIECES))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_its_gradient_is_that_of_finite_differences(
    similarity: str, make_objective: Objectives
) -> None:
    objective = make_objective(similarity=similarity, temperature=0.5, dimensions=(2,))
    identity = with_identity(vectors_of(32), (0, 1, 2, 1, 4, 5, 6, 7, 6, 9, 10))[:, -2:]

    def loss(vector_PD: Tensor) -> Tensor:
        return objective.joint_loss(torch.cat((vector_PD, identity), 1), PIECES)

    vector_PD = torch.from_numpy(vectors_of(32)).requires_grad_()
    assert torch.autograd.gradcheck(loss, (vector_PD,))


def test_identities_have_no_gradient(make_objective: Objectives) -> None:
    rows = with_identity(vectors_of(32), range(11)).requires_grad_()
    (gradient,) = torch.autograd.grad(make_objective().joint_loss(rows, PIECES), rows)
    assert not gradient[:, -2:].any()
    assert gradient[:, :-2].abs().min() > 0


def test_an_equal_sequence_is_no_negative(make_objective: Objectives) -> None:
    rows = with_identity(vectors_of(32)[:6], (0, 1, 2, 1, 4, 5)).requires_grad_()
    objective = make_objective(symmetric=False)
    (gradient,) = torch.autograd.grad(objective.joint_loss(rows, (2, 4)), rows)
    alone = rows[[0, 1, 4, 5]].detach().requires_grad_()
    (expected,) = torch.autograd.grad(objective.joint_loss(alone, (4,)), alone)
    # The first anchor does not see the second's positive, its own text; but its negatives.
    torch.testing.assert_close(gradient[0], expected[0], rtol=ROUNDING, atol=ROUNDING)


def test_vectors_have_the_order_of_the_sequences(
    make_objective: Objectives,
    make_examples: Callable[..., list[Example]],
    make_batch: Callable[..., Batch],
    build_model: Callable[..., TrainedModel],
) -> None:
    objective, model = make_objective(), build_model(None).eval()
    examples = make_examples(4, pieces=3)
    prepared = objective.prepare(examples, np.random.default_rng(0))
    assert (np.diff(prepared.packed.lengths) <= 0).all()
    assert prepared.weight == 4
    found = objective.vectors(model, make_batch(prepared))
    for row, piece in enumerate(piece for example in examples for piece in example.sequences):
        pair = Example((piece, piece), None, "alone")
        alone = objective.vectors(
            model, make_batch(objective.prepare([pair], np.random.default_rng(0)))
        )
        torch.testing.assert_close(found[row], alone[0], rtol=0, atol=1e-5)  # float32


def test_the_loss_of_a_batch_is_the_joint_loss_of_its_vectors(
    make_objective: Objectives,
    make_examples: Callable[..., list[Example]],
    make_batch: Callable[..., Batch],
    build_model: Callable[..., TrainedModel],
) -> None:
    objective, model = make_objective(), build_model(None)
    batch = make_batch(objective.prepare(make_examples(4, pieces=2), np.random.default_rng(0)))
    expected = objective.joint_loss(objective.vectors(model, batch), [2] * 4)
    torch.testing.assert_close(objective.loss(model, batch), expected)


def test_retrieval_is_among_all_different_candidates(make_objective: Objectives) -> None:
    # Anchors e0, e1, e2; their positives e0, e2 (ranked last), e2; a negative like e1; and once
    # more the first positive, as another's, which is not counted twice.
    e = np.eye(32, dtype=np.float32)
    vectors = np.stack([e[0], e[0], e[1], -e[1], e[1], e[2], e[2], e[0], e[0]])
    rows = with_identity(vectors, (0, 1, 2, 3, 4, 5, 6, 0, 1)).float().numpy()
    evaluated = {"vectors": rows, "sequence_counts": np.array([2, 3, 2, 2])}
    found = make_objective().metrics(evaluated)
    ranks = [1, 4, 1, 1]
    assert found["recall@1"] == 0.75
    assert found["recall@10"] == 1.0
    assert found["mrr"] == pytest.approx(np.mean([1 / rank for rank in ranks]))


def test_vectors_that_are_all_the_same_find_nothing_first(make_objective: Objectives) -> None:
    rows = with_identity(np.ones((20, 32)), range(20)).float().numpy()
    found = make_objective().metrics({"vectors": rows, "sequence_counts": np.full(10, 2)})
    assert found["recall@1"] == 0.0
    assert found["loss"] == pytest.approx(np.log(10), rel=1e-5)


def test_leading_dimensions_have_metrics_of_their_own(make_objective: Objectives) -> None:
    vectors = np.random.default_rng(0).standard_normal((20, 32))
    rows = with_identity(vectors, range(20)).float().numpy()
    found = make_objective(dimensions=(4,)).metrics(
        {"vectors": rows, "sequence_counts": np.full(10, 2)}
    )
    vectors[:, 4:] = 0
    rows = with_identity(vectors, range(20)).float().numpy()
    few = make_objective().metrics({"vectors": rows, "sequence_counts": np.full(10, 2)})
    for name in ("recall@1", "recall@10", "mrr"):
        assert found[f"{name} of 4 dimensions"] == few[name]


def test_an_anchor_without_a_positive_is_named(make_objective: Objectives) -> None:
    alone = Example((InputSequence(np.array([5]), None, slice(None)),), None, "pairs.csv, row 3")
    with pytest.raises(ValueError, match=r"pairs\.csv, row 3: the anchor has no positive"):
        make_objective().prepare([alone], np.random.default_rng(0))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"temperature": 0.0}, r"temperature=0\.0: expected more than 0"),
        ({"dimensions": (64,)}, "dimensions=64: expected 1 to 32"),
        ({"similarity": "near"}, "similarity='near'"),
    ],
)
def test_invalid_options_are_refused(
    fields: dict[str, object], message: str, make_objective: Objectives
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_objective(**fields)

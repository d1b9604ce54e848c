from collections.abc import Callable

import numpy as np
import pytest
import torch

from bothways.model.config import EncoderConfig
from bothways.model.heads import Head
from bothways.training.data.dataset import IGNORED, Example, InputSequence
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.heads import head_for
from bothways.training.objectives.tag import Tag, mark_spans

SPANS = ("O", "B-PER", "I-PER", "B-LOC")

Examples = Callable[..., list[Example]]


@pytest.fixture
def head(make_config: Callable[..., EncoderConfig]) -> Head:
    return head_for("tags", make_config(), ("a", "b", "c"))


@pytest.fixture
def span_head(make_config: Callable[..., EncoderConfig]) -> Head:
    return head_for("tags", make_config(), SPANS)


def every_other(piece: InputSequence, index: int) -> np.ndarray:
    """Labels at positions 1, 3, 5, ... but for the last, a special one."""
    labels: np.ndarray = piece.values % 3
    labels[::2] = IGNORED
    labels[-1] = IGNORED
    return labels


def test_only_labeled_positions_are_targets(head: Head, make_examples: Examples) -> None:
    examples = make_examples(5, every_other)
    prepared = Tag(head=head).prepare(examples, np.random.default_rng(0))
    labels = np.concatenate([e.target for e in examples if e.target is not None])
    assert np.array_equal(prepared.targets["positions"], np.flatnonzero(labels != IGNORED))
    assert np.array_equal(prepared.targets["labels"], labels[labels != IGNORED])
    assert prepared.weight == (labels != IGNORED).sum()
    assert prepared.targets["begins"].sum() == 5


def test_positions_without_a_label_give_no_gradient(
    head: Head,
    make_examples: Examples,
    make_batch: Callable[..., Batch],
    build_model: Callable[..., TrainedModel],
) -> None:
    objective, model = Tag(head=head), build_model(head)
    prepared = objective.prepare(make_examples(3, every_other), np.random.default_rng(0))
    batch = make_batch(prepared)
    assert model.head is not None
    seen: dict[str, torch.Tensor] = {}
    model.head.register_forward_pre_hook(lambda _, args: seen.update(x_TD=args[0]))
    loss = objective.loss(model, batch)
    (gradient_TD,) = torch.autograd.grad(loss, seen["x_TD"])
    labeled = torch.zeros(len(gradient_TD), dtype=torch.bool)
    labeled[batch.targets["positions"]] = True
    assert gradient_TD[labeled].abs().sum(1).min() > 0
    assert not gradient_TD[~labeled].any()


def test_class_weights_apply_to_positions(head: Head, make_examples: Examples) -> None:
    examples = make_examples(4, every_other)
    weights = np.array([1.0, 2.0, 4.0])
    prepared = Tag(head=head, class_weights=weights).prepare(examples, np.random.default_rng(0))
    assert np.array_equal(prepared.targets["weights"], weights[prepared.targets["labels"]])
    assert prepared.weight == weights[prepared.targets["labels"]].sum()


def evaluated_of(
    predicted: list[str], target: list[str], begins: list[int]
) -> dict[str, np.ndarray]:
    place = {label: index for index, label in enumerate(SPANS)}
    flags = np.zeros(len(target), bool)
    flags[begins] = True
    ones = np.ones(len(target))
    return {
        "predictions": np.array([place[label] for label in predicted]),
        "targets": np.array([place[label] for label in target]),
        "begins": flags,
        "loss": ones,
        "weights": ones,
        "confidence": ones,
    }


def test_only_whole_spans_count(span_head: Head) -> None:
    found = Tag(head=span_head).metrics(
        evaluated_of(
            ["B-PER", "I-PER", "O", "B-LOC", "B-PER"],
            ["B-PER", "I-PER", "O", "B-LOC", "O"],
            [0, 3],
        )
    )
    assert found["span_f1"] == pytest.approx(2 * 2 / (3 + 2))
    assert found["accuracy"] == 0.8


def test_no_span_reaches_into_the_next_sequence(span_head: Head) -> None:
    objective = Tag(head=span_head)
    predicted, target = ["B-PER", "I-PER"], ["B-PER", "B-PER"]
    together = objective.metrics(evaluated_of(predicted, target, [0]))
    apart = objective.metrics(evaluated_of(predicted, target, [0, 1]))
    assert together["span_f1"] == 0.0
    assert apart["span_f1"] == 1.0


def test_the_monitored_metric_depends_on_the_labels(head: Head, span_head: Head) -> None:
    assert Tag(head=head).monitor == ("accuracy", "higher")
    assert Tag(head=span_head).monitor == ("span_f1", "higher")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("O", "B-PER", "I-PER"), True),
        (("B-a", "I-a", "E-a", "S-a", "O"), True),
        (("NN", "VB", "O"), False),
        (("NN-TL", "B-PER"), False),
        (("O",), False),
        (("B-", "O"), False),
    ],
)
def test_labels_mark_spans_if_all_of_them_do(labels: tuple[str, ...], expected: bool) -> None:
    assert mark_spans(labels) == expected


def test_tags_that_are_not_one_for_each_position_are_refused(
    head: Head, make_examples: Examples
) -> None:
    examples = make_examples(2, lambda piece, index: piece.values[:-1] % 3)
    with pytest.raises(ValueError, match="row 0: expected one tag for each position"):
        Tag(head=head).prepare(examples, np.random.default_rng(0))

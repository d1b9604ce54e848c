from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from bothways.training.objectives.metrics import (
    accuracy,
    class_counts,
    confusion_matrix,
    expected_calibration_error,
    label_counts,
    mean_absolute_error,
    mean_reciprocal_rank,
    r_squared,
    ranks,
    recall_at,
    reliability,
    root_mean_squared_error,
    span_counts,
    spans,
)

SAME = 1e-12  # the same sums in float64, taken in another order
CLASSES = 5


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _classes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and targets of which class 3 is never a target and 4 never occurs."""
    return rng.integers(0, 4, 200), rng.integers(0, 3, 200)


def test_accuracy_and_confusion_are_those_of_scikit_learn(rng: np.random.Generator) -> None:
    predicted, target = _classes(rng)
    confusion = confusion_matrix(predicted, target, CLASSES)
    expected = sk.confusion_matrix(target, predicted, labels=range(CLASSES))
    assert np.array_equal(confusion, expected)
    assert accuracy(predicted, target) == sk.accuracy_score(target, predicted)


def test_scores_by_class_are_those_of_scikit_learn(rng: np.random.Generator) -> None:
    predicted, target = _classes(rng)
    counts = class_counts(confusion_matrix(predicted, target, CLASSES))
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        target, predicted, labels=range(CLASSES), zero_division=0
    )
    np.testing.assert_allclose(counts.precision, precision, atol=SAME)
    np.testing.assert_allclose(counts.recall, recall, atol=SAME)
    np.testing.assert_allclose(counts.f1, f1, atol=SAME)
    assert counts.actual.tolist() == support.tolist()
    assert counts.macro_f1 == pytest.approx(sk.f1_score(target, predicted, average="macro"))
    assert counts.micro_f1 == pytest.approx(sk.f1_score(target, predicted, average="micro"))


def test_scores_by_label_are_those_of_scikit_learn(rng: np.random.Generator) -> None:
    predicted, target = rng.integers(0, 2, (2, 100, CLASSES))
    counts = label_counts(predicted, target.astype(np.float32))
    expected = sk.f1_score(target, predicted, average=None)
    np.testing.assert_allclose(counts.f1, expected, atol=SAME)
    assert counts.micro_f1 == pytest.approx(sk.f1_score(target, predicted, average="micro"))


def test_without_targets_and_predictions_every_score_is_0() -> None:
    counts = label_counts(np.zeros((3, 2)), np.zeros((3, 2)))
    assert counts.f1.tolist() == [0, 0]
    assert counts.macro_f1 == counts.micro_f1 == 0


def test_perfectly_calibrated_predictions_have_no_error() -> None:
    confidence = np.repeat([0.25, 0.75], 4)
    correct = np.array([1, 0, 0, 0, 1, 1, 1, 0])
    bins = reliability(confidence, correct, bins=2)
    assert bins.counts.tolist() == [4, 4]
    assert bins.accuracy.tolist() == bins.confidence.tolist() == [0.25, 0.75]
    assert expected_calibration_error(bins) == 0


def test_calibration_error_weighs_bins_by_their_counts() -> None:
    confidence, correct = np.array([0.9, 0.9, 0.9, 0.6]), np.array([True, True, True, False])
    bins = reliability(confidence, correct, bins=10)
    assert expected_calibration_error(bins) == pytest.approx((3 * 0.1 + 1 * 0.6) / 4)
    assert np.isnan(bins.accuracy[0])
    assert np.isnan(bins.confidence[0])


def test_every_confidence_falls_into_a_bin_open_below_and_closed_above() -> None:
    bins = reliability(np.array([0.0, 0.5, 0.5000001, 1.0]), np.ones(4), bins=2)
    assert bins.counts.tolist() == [2, 2]


def test_errors_of_values_are_those_of_scikit_learn(rng: np.random.Generator) -> None:
    target = rng.normal(size=(50, 3))
    predicted = target + rng.normal(size=(50, 3))
    pairs = [
        (mean_absolute_error, sk.mean_absolute_error),
        (root_mean_squared_error, sk.root_mean_squared_error),
        (r_squared, sk.r2_score),
    ]
    for ours, theirs in pairs:
        expected = theirs(target, predicted, multioutput="raw_values")
        np.testing.assert_allclose(ours(predicted, target), expected, atol=SAME)


def test_r2_of_a_constant_target_is_one_only_for_exact_predictions() -> None:
    target = np.full((4, 2), 7.0)
    predicted = target + np.array([0.0, 1.0])
    assert r_squared(predicted, target).tolist() == [1, 0]
    assert sk.r2_score(target, predicted, multioutput="raw_values").tolist() == [1, 0]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", []),
        ("O O", []),
        ("B-X I-X O", [("X", 0, 2)]),
        ("B-X B-X", [("X", 0, 1), ("X", 1, 2)]),
        ("O I-X I-X", [("X", 1, 3)]),  # nothing to go on with
        ("B-X I-Y I-Y", [("X", 0, 1), ("Y", 1, 3)]),
        ("B-X I-X E-X S-Y", [("X", 0, 3), ("Y", 3, 4)]),
        ("E-X E-X", [("X", 0, 1), ("X", 1, 2)]),
        ("B-X L-X U-X I-X", [("X", 0, 2), ("X", 2, 3), ("X", 3, 4)]),
        ("NN VB- -X", []),  # parts of speech mark no spans
    ],
)
def test_tags_mark_spans(tags: str, expected: list[tuple[str, int, int]]) -> None:
    assert list(spans(tags.split())) == expected


@given(st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"])))
def test_spans_cover_the_positions_that_are_tagged_and_no_others(tags: list[str]) -> None:
    found = list(spans(tags))
    covered = [i for _, start, end in found for i in range(start, end)]
    assert covered == [i for i, tag in enumerate(tags) if tag != "O"]
    assert sum(tag.startswith("B") for tag in tags) <= len(found)
    assert all(tags[i].endswith(kind) for kind, start, end in found for i in range(start, end))


LABELS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")


def _indices(*sequences: str) -> tuple[np.ndarray, np.ndarray]:
    tags: list[Sequence[str]] = [sequence.split() for sequence in sequences]
    return np.array([LABELS.index(t) for s in tags for t in s]), np.array([len(s) for s in tags])


def test_a_span_is_found_if_its_type_and_both_its_ends_are() -> None:
    target, lengths = _indices("B-PER I-PER O B-LOC", "B-LOC I-LOC O", "B-PER")
    predicted, _ = _indices("B-PER I-PER O B-PER", "B-LOC O O", "B-PER")
    kinds, counts = span_counts(predicted, target, lengths, LABELS)
    assert kinds == ["LOC", "PER"]
    assert counts.hits.tolist() == [0, 2]
    assert counts.predicted.tolist() == [1, 3]
    assert counts.actual.tolist() == [2, 2]
    assert counts.micro_f1 == pytest.approx(2 * 2 / (4 + 4))


def test_spans_end_where_their_sequence_does() -> None:
    predicted, lengths = _indices("O B-LOC", "I-LOC O")
    _, counts = span_counts(predicted, predicted, lengths, LABELS)
    assert counts.actual.tolist() == [2, 0]


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_ranks_do_not_depend_on_the_chunks(chunk: int, rng: np.random.Generator) -> None:
    queries, documents = rng.normal(size=(10, 4)), rng.normal(size=(20, 4))
    right = rng.integers(0, 20, 10)
    order = np.argsort(-(queries @ documents.T), axis=1)
    expected = [row.tolist().index(i) + 1 for row, i in zip(order, right, strict=True)]
    assert ranks(queries, documents, right, chunk=chunk).tolist() == expected


def test_equal_scores_are_counted_before_the_right_document() -> None:
    same = np.ones((5, 2))
    assert ranks(same, same, np.arange(5)).tolist() == [5] * 5


def test_recall_and_reciprocal_rank_are_those_of_scikit_learn(rng: np.random.Generator) -> None:
    queries, documents, right = rng.normal(size=(30, 4)), rng.normal(size=(12, 4)), np.arange(30)
    right %= 12
    scores = queries @ documents.T
    found = ranks(queries, documents, right)
    expected = sk.top_k_accuracy_score(right, scores, k=3, labels=range(12))
    assert recall_at(3, found) == pytest.approx(expected)
    relevant = np.eye(12)[right]
    expected = sk.label_ranking_average_precision_score(relevant, scores)
    assert mean_reciprocal_rank(found) == pytest.approx(expected)

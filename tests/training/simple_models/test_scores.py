"""Scores by row: their values, intervals and paired comparison."""

import numpy as np
import pytest

from bothways.training.objectives.metrics import label_counts, r_squared, span_counts
from bothways.training.simple_models.scores import (
    RowScores,
    compare,
    compare_over_seeds,
    interval_over_seeds,
    wilson_interval,
)

RNG = np.random.default_rng(3)
LABELS = ("O", "B-X", "I-X")


@pytest.mark.parametrize(
    ("successes", "trials", "expected"),
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611)),
     (1, 29, (0.0061, 0.1718))],
)  # fmt: skip
def test_wilson_intervals_are_the_published_ones(
    successes: int, trials: int, expected: tuple[float, float]
) -> None:
    assert wilson_interval(successes, trials) == pytest.approx(expected, abs=5e-5)


def test_scores_are_those_of_the_metrics() -> None:
    target = RNG.normal(size=(30, 2)) * [1, 1e6] + [5, 1e7]
    predicted = target + RNG.normal(size=(30, 2)) * [0.5, 1e5]
    r2 = float(r_squared(predicted, target).mean())
    assert RowScores.of_values(predicted, target).value == pytest.approx(r2)

    labels = RNG.random((30, 4)) < 0.4
    guesses = RNG.random((30, 4)) < 0.4
    f1 = label_counts(guesses, labels).micro_f1
    assert RowScores.of_labels(guesses, labels).value == pytest.approx(f1)

    tags, guessed = RNG.integers(3, size=(2, 40))
    lengths = np.array([1, 9, 30])
    sequence = np.repeat(np.arange(3), lengths)
    _, counts = span_counts(guessed, tags, lengths, LABELS)
    spans = RowScores.of_spans(guessed, tags, sequence, LABELS)
    assert spans.value == pytest.approx(counts.micro_f1)
    assert spans.num_rows == 3
    assert RowScores.of_tags(guessed, tags, sequence).value == np.mean(guessed == tags)


def test_constant_targets_have_the_r2_of_the_metrics() -> None:
    target = np.full((5, 1), 2.0)
    assert RowScores.of_values(target, target).value == 1.0
    assert RowScores.of_values(target + 1, target).value == 0.0


def test_bootstrap_intervals_contain_the_score_and_shrink_with_rows() -> None:
    widths = []
    for count in (30, 3000):
        target = RNG.normal(size=(count, 1))
        scores = RowScores.of_values(target + RNG.normal(size=(count, 1)) * 0.5, target)
        low, high = scores.interval()
        assert low < scores.value < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 5


@pytest.mark.parametrize(
    ("wins", "losses", "outcome"),
    # one-sided binomial tails: 2 x 1/2^5 = 0.0625, 2 x 1/2^6 = 0.031
    [(5, 0, "equal"), (6, 0, "better"), (0, 6, "worse"), (30, 28, "equal"), (0, 0, "equal")],
)
def test_accuracies_are_compared_by_the_rows_on_which_models_differ(
    wins: int, losses: int, outcome: str
) -> None:
    target = np.zeros(100, np.int64)
    first, second = target.copy(), target.copy()
    second[:wins] = 1
    first[wins : wins + losses] = 1
    scores = RowScores.of_classes(first, target), RowScores.of_classes(second, target)
    difference = compare(*scores)
    assert difference.outcome == outcome
    assert difference.value == pytest.approx((wins - losses) / 100)
    assert difference.interval[0] <= difference.value <= difference.interval[1]


def test_values_are_compared_by_the_interval_of_the_difference() -> None:
    target = RNG.normal(size=(200, 1))
    noise = RNG.normal(size=(200, 1))
    good = RowScores.of_values(target + 0.3 * noise, target)
    bad = RowScores.of_values(target + 0.6 * noise, target)
    assert compare(good, bad).outcome == "better"
    assert compare(bad, good).outcome == "worse"
    assert compare(good, good).outcome == "equal"


def _runs(accuracies: list[float], rows: int) -> list[RowScores]:
    """Runs of different accuracy, whose errors are on random rows."""
    target = np.zeros(rows, np.int64)
    return [RowScores.of_classes(RNG.random(rows) > share, target) for share in accuracies]


def test_ways_of_training_are_compared_over_seeds() -> None:
    good, bad = _runs([0.9, 0.91, 0.89], 500), _runs([0.8, 0.81, 0.79], 500)
    assert compare_over_seeds(good, bad).outcome == "better"
    assert compare_over_seeds(bad, good).outcome == "worse"
    low, high = interval_over_seeds(good)
    assert low < 0.9 < high


def test_differences_between_seeds_count_as_chance() -> None:
    steady, shaky = _runs([0.85, 0.85, 0.85], 5000), _runs([0.6, 0.9, 0.9], 5000)
    assert compare_over_seeds(steady, shaky).outcome == "equal"


def test_many_comparisons_need_larger_differences() -> None:
    first, second = _runs([0.86], 900), _runs([0.83], 900)
    one, many = (compare_over_seeds(first, second, comparisons=n).interval for n in (1, 20))
    assert many[0] < one[0] < one[1] < many[1]

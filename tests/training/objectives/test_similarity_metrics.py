"""Metrics of pairs, against their definitions."""

import math

import numpy as np
import pytest

from bothways.training.objectives.similarity_metrics import (
    average_precision,
    best_threshold,
    spearman,
)


def test_spearman_is_the_correlation_of_ranks_and_shares_them_among_equals() -> None:
    assert spearman(np.array([1.0, 2, 3]), np.array([10.0, 100, 1000])) == pytest.approx(1)
    assert spearman(np.array([1.0, 2, 3]), np.array([3.0, 2, 1])) == pytest.approx(-1)
    by_rank = np.corrcoef([1, 2.5, 2.5, 4], [2, 1, 3, 4])[0, 1]
    assert spearman(np.array([0, 5, 5, 9.0]), np.array([2, 1, 3, 4.0])) == pytest.approx(by_rank)
    assert math.isnan(spearman(np.ones(3), np.array([1.0, 2, 3])))


def test_average_precision_is_the_mean_precision_at_the_positives() -> None:
    score, positive = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False])
    assert average_precision(score, positive) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.ones(4), positive) == pytest.approx(0.5)
    assert math.isnan(average_precision(score, np.zeros(4, bool)))


def test_the_best_threshold_lies_between_two_scores() -> None:
    score, positive = np.array([0.9, 0.1, 0.7, 0.5]), np.array([True, False, True, False])
    assert best_threshold(score, positive) == pytest.approx((0.6, 1.0))
    assert best_threshold(score, ~positive)[1] == 0.5
    assert best_threshold(score, np.ones(4, bool))[1] == 1.0

import numpy as np
import pytest
import torch

from bothways.training.objectives.cross_entropy import cross_entropy, weighted_mean


def test_smoothing_spreads_a_fraction_of_the_target_evenly() -> None:
    logit = torch.tensor([[1.0, 2.0, 0.5], [0.0, 0.0, 3.0]])
    label = torch.tensor([1, 0])
    log_p = torch.log_softmax(logit, 1)
    own = -log_p[[0, 1], label]
    torch.testing.assert_close(cross_entropy(logit, label), own)
    expected = 0.9 * own - 0.1 * log_p.mean(1)
    torch.testing.assert_close(cross_entropy(logit, label, 0.1), expected)


def test_weighted_losses_are_divided_by_their_weights() -> None:
    loss = np.array([2.0, 3.0])
    assert weighted_mean(loss * [1.0, 3.0], np.array([1.0, 3.0])) == pytest.approx(11 / 4)

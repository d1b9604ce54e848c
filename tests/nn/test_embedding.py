import numpy as np
import torch

from bothways.nn import Lengths
from bothways.nn.embedding import rescale_masked, sinusoids
from bothways.reference import sinusoids as reference_sinusoids
from bothways.reference.embedding import rescale_masked as reference_rescale_masked

FLOAT64_ROUNDING = 1e-13
"""Of angles of up to 300 radians."""
FLOAT32_ROUNDING = 1e-6
"""The share of masks is counted in float32."""


def test_sinusoids_are_the_definition_s() -> None:
    for width in (1, 6, 7):
        expected = reference_sinusoids(300, width, like=np.zeros(1))
        found = sinusoids(300, width, torch.device("cpu"))
        assert np.abs(found.numpy() - expected).max() < FLOAT64_ROUNDING


def test_masks_are_counted_within_each_sequence() -> None:
    ids = torch.tensor([3, 5, 5, 5, 3, 3, 5])
    x = torch.randn(7, 2, dtype=torch.float64)
    found = rescale_masked(x, ids, Lengths([4, 2, 1]), mask_token=3)
    expected = torch.cat(
        [
            reference_rescale_masked(x[part], ids[part], 3)
            for part in (slice(0, 4), slice(4, 6), slice(6, 7))
        ]
    )
    assert (found - expected).abs().max() < FLOAT32_ROUNDING

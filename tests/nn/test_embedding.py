import torch

from bothways.nn import Lengths
from bothways.nn.embedding import rescale_masked
from bothways.reference.embedding import rescale_masked as reference_rescale_masked

FLOAT32_ROUNDING = 1e-6
"""The share of masks is counted in float32."""


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

from collections.abc import Callable
from typing import Any

import numpy as np

from bothways.model.config import MASKED_IN_TRAINING, EncoderConfig
from bothways.reference.embedding import embed, rescale_masked
from bothways.reference.positions import position_rows

ROUNDING = 1e-14
"""float64 rounding of a few operations on numbers near 1."""


def _config(**fields: Any) -> EncoderConfig:
    return EncoderConfig(
        **{"num_layers": 1, "num_heads": 1, "d_model": 6, "d_ff": 2, "vocab_size": 9} | fields
    )


def test_token_segment_and_position_are_summed() -> None:
    config = _config(num_segments=2, position_offset=1, max_length=3, embedding_norm=False)
    w = {
        "embedding.token.weight": 100.0 * np.arange(9)[:, None] * np.ones(6),
        "embedding.segment.weight": 10.0 * np.arange(2)[:, None] * np.ones(6),
        "embedding.position.weight": 1.0 * np.arange(4)[:, None] * np.ones(6),
    }
    ids, segments = np.array([4, 0, 8]), np.array([0, 1, 1])
    assert embed(ids, w, config, segments)[:, 0].tolist() == [401.0, 12.0, 813.0]
    assert embed(ids, w, config)[:, 5].tolist() == [401.0, 2.0, 803.0]


def test_a_padding_token_takes_the_row_before_the_first_and_is_not_counted() -> None:
    config = _config(position_offset=3, position_padding_token=2, max_length=5)
    rows = position_rows(np.array([2, 4, 2, 2, 8]), config)
    assert rows.tolist() == [2, 3, 2, 2, 4]
    without = position_rows(np.array([2, 4, 2, 2, 8]), _config(position_offset=3, max_length=5))
    assert without.tolist() == [3, 4, 5, 6, 7]


def test_embeddings_are_normalized_before_they_are_projected(
    make_weights: Callable[..., dict[str, np.ndarray]],
) -> None:
    config = _config(embedding_size=4, position_embedding="none")
    w = make_weights(config) | {
        "embedding.norm.weight": np.ones(4),
        "embedding.norm.bias": np.zeros(4),
        "embedding.projection.weight": np.ones((6, 4)),
        "embedding.projection.bias": np.full(6, 5.0),
    }
    found = embed(np.array([1, 2]), w, config)  # a normalized vector sums to 0
    assert np.abs(found - 5.0).max() < 1e-6  # weights are float32


def test_masked_positions_are_zeroed_and_the_others_rescaled() -> None:
    x = np.ones((4, 2))
    found = rescale_masked(x, np.array([5, 3, 5, 5]), mask_token=3)
    kept = (1 - MASKED_IN_TRAINING) / (3 / 4)
    assert np.abs(found[:, 0] - [kept, 0, kept, kept]).max() < ROUNDING


def test_no_masks_leave_the_scale_of_training() -> None:
    found = rescale_masked(np.ones((4, 2)), np.array([5, 6, 5, 5]), mask_token=3)
    assert np.abs(found - (1 - MASKED_IN_TRAINING)).max() < ROUNDING


def test_a_sequence_of_only_masks_stays_zero() -> None:
    assert not rescale_masked(np.ones((4, 2)), np.array([3, 3, 3, 3]), mask_token=3).any()

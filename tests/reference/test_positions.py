import math

import numpy as np
import pytest

from bothways.model.alibi import alibi_slopes
from bothways.model.config import EncoderConfig
from bothways.model.rotary import Rotation
from bothways.reference.positions import bias_by_distance, linear_bias, rotate, sinusoids

ROUNDING = 1e-12
"""float64 rounding of a few dozen operations on numbers near 1."""


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("width", [1, 6, 7])
def test_sinusoids_follow_the_formula(width: int) -> None:
    found = sinusoids(50, width, like=np.zeros(1))
    for position in (0, 1, 49):
        for dimension in range(width):
            angle = position / 10_000 ** (2 * (dimension // 2) / width)
            expected = math.cos(angle) if dimension % 2 else math.sin(angle)
            assert abs(found[position, dimension] - expected) < ROUNDING / 100


def test_a_rotation_keeps_lengths_and_leaves_the_first_position(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 6, 8))
    rotated = rotate(x, Rotation((1.0, 0.3, 0.1, 0.01)))
    assert np.abs(np.linalg.norm(rotated, axis=-1) - np.linalg.norm(x, axis=-1)).max() < ROUNDING
    assert (rotated[:, 0] == x[:, 0]).all()


def test_each_pair_is_rotated_by_its_frequency() -> None:
    x = np.zeros((1, 3, 4))
    x[..., 0] = x[..., 1] = 1.0  # pairs are (0, 2) and (1, 3)
    rotated = rotate(x, Rotation((0.5, 0.25)))[0, 2]
    expected = [math.cos(1), math.cos(0.5), math.sin(1), math.sin(0.5)]
    assert np.abs(rotated - expected).max() < ROUNDING
    assert (rotate(x, Rotation((0.5, 0.25), magnitude=2.0))[0, 2] == 2 * rotated).all()


def test_rotated_scores_depend_only_on_the_distance(rng: np.random.Generator) -> None:
    rotation = Rotation((1.0, 0.2, 0.04))
    q = rotate(np.broadcast_to(rng.standard_normal(6), (1, 10, 6)), rotation)
    k = rotate(np.broadcast_to(rng.standard_normal(6), (1, 10, 6)), rotation)
    score = q[0] @ k[0].T
    for distance in range(-9, 10):
        diagonal = np.diagonal(score, distance)
        assert np.abs(diagonal - diagonal[0]).max() < ROUNDING


def _buckets(length: int, buckets: int, max_distance: int) -> np.ndarray:
    """Which bucket each pair of positions uses: read off a table whose entries are their rows."""
    config = EncoderConfig(
        num_layers=1,
        num_heads=1,
        d_model=2,
        d_ff=2,
        vocab_size=2,
        position_embedding="none",
        attention_positions="relative",
        relative_buckets=buckets,
        relative_max_distance=max_distance,
    )
    table = np.arange(buckets, dtype=np.float64)[:, None]
    return np.asarray(bias_by_distance(table, length, config)[0])


def test_near_distances_have_a_bucket_each_in_both_directions() -> None:
    bucket = _buckets(8, 32, 128)
    assert bucket[7].tolist() == [7, 6, 5, 4, 3, 2, 1, 0]  # keys before the query
    assert bucket[0].tolist() == [0, 17, 18, 19, 20, 21, 22, 23]  # keys after it


def test_far_distances_share_buckets_on_a_logarithmic_scale() -> None:
    """8 buckets, 4 a direction: 0, 1, then 2 to 5 and the rest, for √(2 · 18) = 6."""
    after = _buckets(40, 8, 18)[0]
    assert after[:12].tolist() == [0, 5, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7]
    assert (after[12:] == 7).all()


def test_buckets_never_shrink_with_the_distance() -> None:
    for buckets, max_distance in ((4, 2), (8, 9), (32, 128), (64, 250)):
        before = _buckets(300, buckets, max_distance)[299][::-1]
        assert (np.diff(before) >= 0).all()
        assert before.max() == buckets // 2 - 1


def test_linear_biases_fall_with_the_distance_in_both_directions() -> None:
    bias = linear_bias(2, 4, like=np.zeros(1))
    distance = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    assert (bias[0] == -distance / 16).all()
    assert (bias[1] == -distance / 256).all()


def test_slopes_are_those_of_the_paper() -> None:
    """Press et al. 2022, section 3: 8 heads; for 12, the paper's code has half steps at the end."""
    eight = tuple(2.0**-i for i in range(1, 9))
    assert alibi_slopes(8) == eight
    assert alibi_slopes(12) == eight + tuple(2.0**-i for i in (0.5, 1.5, 2.5, 3.5))
    assert alibi_slopes(1) == (2.0**-8,)

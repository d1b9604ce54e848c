"""Weights are checked once, by building `CheckedWeights`, and copied only where they must be."""

import numpy as np
import pytest

from bothways.errors import CheckpointError
from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize, layout
from bothways.model.weights import CheckedWeights, Weights

CONFIG = EncoderConfig(
    num_layers=2, num_heads=2, d_model=4, d_ff=6, vocab_size=9, max_length=7, num_segments=2
)


def check(arrays: Weights) -> CheckedWeights:
    return CheckedWeights(layout(CONFIG), arrays, "f.st")


def test_weights_that_fit_pass_in_the_order_of_the_layout() -> None:
    weights = initialize(CONFIG)
    checked = check(dict(reversed(weights.items())))
    assert list(checked) == list(layout(CONFIG))
    assert checked.layout == layout(CONFIG)
    assert len(checked) == len(weights)


def _broken(name: str, array: np.ndarray | None) -> dict[str, np.ndarray]:
    weights = initialize(CONFIG)
    if array is None:
        del weights[name]
    else:
        weights[name] = array
    return weights


TOKENS = "embedding.token.weight"
NAN, INF = np.zeros((9, 4), np.float32), np.zeros((9, 4), np.float32)
NAN[3, 1], INF[8, 3] = np.nan, np.inf
OPPOSITE = np.zeros((9, 4), np.float32)
OPPOSITE[0, :2] = np.inf, -np.inf


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (TOKENS, None, f"f.st: weight '{TOKENS}' is missing (1 of 37 are)"),
        (
            "extra.weight",
            np.zeros(1),
            "f.st: weight 'extra.weight' is unexpected (1 are",
        ),
        (TOKENS, np.zeros((9, 5)), f"f.st: weight '{TOKENS}' has shape (9, 5); the config says"),
        (TOKENS, np.zeros((9, 4), np.int8), f"f.st: weight '{TOKENS}' is int8, not floating point"),
        (TOKENS, NAN, f"f.st: weight '{TOKENS}' holds NaN or infinity"),
        (TOKENS, INF, f"f.st: weight '{TOKENS}' holds NaN or infinity"),
        (TOKENS, OPPOSITE, f"f.st: weight '{TOKENS}' holds NaN or infinity"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    name: str, array: np.ndarray | None, message: str
) -> None:
    with pytest.raises(CheckpointError) as raised:
        check(_broken(name, array))
    assert message in str(raised.value)


def test_float32_weights_are_views_and_others_are_converted() -> None:
    weights = initialize(CONFIG)
    weights["embedding.segment.weight"] = np.ones((2, 4), np.float64)
    weights["blocks.0.attention.query.weight"] = np.ones((4, 4), np.float32).T
    checked = check(weights)
    assert checked[TOKENS] is weights[TOKENS]
    assert {array.dtype for array in checked.values()} == {np.dtype(np.float32)}
    assert all(array.flags.c_contiguous for array in checked.values())


def test_weights_that_were_checked_are_not_checked_again() -> None:
    checked = check(initialize(CONFIG))
    assert CheckedWeights.of(layout(CONFIG), checked, "again") is checked
    with pytest.raises(CheckpointError, match=r"again: weight 'final_norm\.weight' is missing"):
        CheckedWeights.of(layout(CONFIG) | {"final_norm.weight": (4,)}, checked, "again")


def test_a_copy_shares_no_memory() -> None:
    checked = check(initialize(CONFIG))
    copy = checked.copy()
    assert all(np.array_equal(copy[name], checked[name]) for name in checked)
    assert not any(np.shares_memory(copy[name], checked[name]) for name in checked)


def test_parts_are_put_together_under_their_names() -> None:
    checked = check(initialize(CONFIG))
    part = checked.select([TOKENS]).with_prefix("a.")
    assert list(part) == ["a." + TOKENS]
    assert list(CheckedWeights.union(part.without_prefix("a."), part)) == [TOKENS, "a." + TOKENS]


def test_huge_finite_weights_are_finite_and_larger_than_float32_are_refused() -> None:
    check(_broken(TOKENS, np.full((9, 4), 3e38)))
    with pytest.raises(CheckpointError, match="holds NaN or infinity, as float32"):
        check(_broken(TOKENS, np.full((9, 4), 1e308)))

"""Each variant of a config changes the encoder's output."""

import itertools
import math
import zlib
from typing import Any

import numpy as np
import pytest

from bothways.model.config import EncoderConfig
from bothways.model.fields import literal_fields
from bothways.model.layout import layout
from bothways.reference import encode

SIZES: dict[str, Any] = {"num_layers": 2, "num_heads": 2, "d_model": 12, "d_ff": 16}
LENGTH = 7
DIFFERENCE = 1e-9
"""Far above float64 rounding, and below the effect of frequencies rounded to half precision."""
NEEDED: dict[str, dict[str, Any]] = {
    "rotary_precision": {"attention_positions": "rotary"},
    "rotary_scaling": {
        "attention_positions": "rotary",
        "rotary_factor": 4.0,
        "rotary_original_length": 40,
        "rotary_turns": (0.1, 4.0),
        "rotary_pair_factors": (1.0, 1.5, 2.0),
    },
    "norm": {"norm_bias": False},
    "convolution_activation": {"convolution_kernel_size": 3},
}
"""Fields without which a variant has no effect, or which would change the output as well."""

PAIRS = [
    (name, *pair)
    for name, choices in literal_fields(EncoderConfig).items()
    for pair in itertools.combinations(choices, 2)
]


def weights_by_name(config: EncoderConfig) -> dict[str, np.ndarray]:
    """Random weights that depend on a weight's name and shape only, so that configs share them."""
    return {
        name: 0.1 + 0.5 * np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
        for name, shape in layout(config).items()
    }


def output(fields: dict[str, Any]) -> np.ndarray:
    rng = np.random.default_rng(0)
    values: np.ndarray
    if fields.get("input") == "vectors":
        sizes, values = SIZES | {"num_channels": 3}, rng.standard_normal((LENGTH, 3))
    else:
        sizes, values = SIZES | {"vocab_size": 9}, rng.integers(0, 9, LENGTH)
    config = EncoderConfig(**sizes | fields)
    return np.asarray(encode(values, weights_by_name(config), config).hidden_states[-1])


@pytest.mark.parametrize(("name", "one", "other"), PAIRS)
def test_any_two_values_of_a_variant_give_different_outputs(
    name: str, one: str, other: str
) -> None:
    fields = NEEDED.get(name, {})
    x, y = output(fields | {name: one}), output(fields | {name: other})
    assert np.isfinite(x).all()
    assert np.abs(x - y).max() > DIFFERENCE


def test_every_pair_of_every_variant_is_compared() -> None:
    count = sum(math.comb(len(choices), 2) for choices in literal_fields(EncoderConfig).values())
    assert len(PAIRS) == count == 1 + 3 + 10 + 1 + 1 + 6 + 3 + 6 + 3 + 1 + 10

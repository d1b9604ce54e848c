"""The reference is one set of functions for any array library: NumPy, torch and JAX agree."""

from collections.abc import Callable, Iterator
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from bothways.model.config import EncoderConfig, PoolingMode
from bothways.reference import encode, pool

AGREEMENT = 1e-12
"""float64 in all three: they differ in the order of their sums."""

SIZES: dict[str, Any] = {"num_layers": 2, "num_heads": 2, "d_model": 8, "d_ff": 12}
CONFIGS = {
    "bert": EncoderConfig(**SIZES, vocab_size=30, num_segments=2),
    "modern": EncoderConfig(
        **SIZES,
        vocab_size=30,
        position_embedding="none",
        attention_positions="rotary",
        rotary_base_local=50.0,
        windows=(None, 2),
        norm_placement="pre",
        first_attention_norm=False,
        final_norm=True,
        gated=True,
    ),
    "relative": EncoderConfig(
        **SIZES,
        vocab_size=30,
        attention_positions="relative",
        relative_buckets=8,
        relative_max_distance=9,
        norm="rms",
        activation="gelu_tanh",
    ),
    "series": EncoderConfig(
        **SIZES, input="vectors", num_channels=3, position_embedding="sinusoidal", activation="silu"
    ),
    "rescaled, shared": EncoderConfig(
        **SIZES,
        vocab_size=30,
        embedding_size=5,
        block_of_layer=(0, 0),
        rescaled_mask_token=3,
        position_embedding="none",
        activation="relu",
    ),
}

LIBRARIES: dict[str, tuple[Callable[[np.ndarray], Any], type]] = {
    "torch": (torch.from_numpy, torch.Tensor),
    "jax": (jnp.asarray, jax.Array),
}
"""How each makes an array of NumPy's, and of which class."""


@pytest.fixture
def in_float64() -> Iterator[None]:
    """JAX computes in float32 unless told; the setting does not outlive the test."""
    with jax.enable_x64(True):
        yield
    assert jnp.zeros(1).dtype == jnp.float32


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.usefixtures("in_float64")
def test_the_same_functions_give_the_same_numbers(
    name: str, library: str, make_weights: Callable[..., dict[str, np.ndarray]]
) -> None:
    config = CONFIGS[name]
    to_array, kind = LIBRARIES[library]
    rng = np.random.default_rng(0)
    weights = {key: array.astype(np.float64) for key, array in make_weights(config).items()}
    values: np.ndarray = rng.integers(0, 30, 11)
    if config.input == "vectors":
        values = rng.standard_normal((11, config.num_channels))
    segments = np.arange(11) // 6 if config.num_segments else None

    expected = encode(values, weights, config, segments)
    found = encode(
        to_array(values),
        {key: to_array(array) for key, array in weights.items()},
        config,
        None if segments is None else to_array(segments),
    )

    for part in ("hidden_states", "probabilities"):
        for a, b in zip(getattr(found, part), getattr(expected, part), strict=True):
            assert isinstance(a, kind)
            assert np.asarray(a).dtype == np.float64
            assert np.abs(np.asarray(a) - b).max() < AGREEMENT
    for mode in get_args(PoolingMode):
        a = pool(found.hidden_states[-1], mode, skip=2)
        assert isinstance(a, kind)
        assert np.abs(np.asarray(a) - pool(expected.hidden_states[-1], mode, skip=2)).max() < (
            AGREEMENT
        )


def test_it_can_be_compiled_and_differentiated_by_jax(
    make_weights: Callable[..., dict[str, np.ndarray]],
) -> None:
    config = CONFIGS["modern"]
    weights = {key: jnp.asarray(array) for key, array in make_weights(config).items()}
    ids = jnp.arange(7)

    def loss(weights: dict[str, Any]) -> Any:
        return (encode(ids, weights, config).hidden_states[-1] ** 2).mean()

    gradient = jax.jit(jax.grad(loss))(weights)
    assert all(bool(jnp.isfinite(array).all()) for array in gradient.values())
    assert all(bool(jnp.any(gradient[f"blocks.{b}.attention.query.weight"])) for b in (0, 1))

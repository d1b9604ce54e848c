"""Positions that attend without being attended to: all backends agree with the reference."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bothways.errors import InputError
from bothways.model.config import EncoderConfig
from bothways.model.packing import PackedBatch
from bothways.native import NativeBackend, available_isas, is_built
from bothways.nn.backend import TorchBackend
from bothways.reference.backend import ReferenceBackend

VARIANTS: list[dict[str, Any]] = [
    {},
    {"attention_positions": "rotary"},
    {"attention_positions": "relative", "relative_buckets": 8, "relative_max_distance": 16},
    {"attention_positions": "alibi"},
    {"attention_positions": "disentangled", "content_to_position": True, "relative_buckets": 8},
    {"attention_direction": "causal"},
    {"convolution_kernel_size": 3, "convolution_groups": 2},
]
KEYS = np.array([70, 7, 5, 20])


def case(variant: dict[str, Any], make_weights: Callable[..., Any]) -> tuple[Any, Any, PackedBatch]:
    config = EncoderConfig(
        num_layers=2, num_heads=2, d_model=16, d_ff=24, vocab_size=30, max_length=100, **variant
    )
    lengths = [100, 32, 5, 32]
    ids = np.random.default_rng(1).integers(0, 30, sum(lengths))
    return config, make_weights(config), PackedBatch(ids, np.array(lengths), num_keys=KEYS)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_backends_agree(variant: dict[str, Any], make_weights: Callable[..., Any]) -> None:
    config, weights, batch = case(variant, make_weights)
    expected = ReferenceBackend(config, weights, dtype=np.float64).hidden_states(batch, [1, 2])
    backends: list[Any] = [TorchBackend(config, weights, device="cpu")]
    if is_built():
        backends += [NativeBackend(config, weights, isa=isa) for isa in available_isas()]
    for backend in backends:
        np.testing.assert_allclose(backend.hidden_states(batch, [1, 2]), expected, atol=2e-5)


@pytest.mark.parametrize("variant", [{}, {"convolution_kernel_size": 5}], ids=str)
def test_a_position_without_keys_changes_no_other(
    variant: dict[str, Any], make_weights: Callable[..., Any]
) -> None:
    config, weights, batch = case(variant, make_weights)
    backend = ReferenceBackend(config, weights)
    whole = batch.split(backend.hidden_states(batch, [2])[0])
    for ids, states, keys in zip(batch.split(batch.values), whole, KEYS.tolist(), strict=True):
        alone = backend.hidden_states(PackedBatch.of([ids[:keys]]), [2])[0]
        np.testing.assert_allclose(states[:keys], alone, atol=1e-5)


@pytest.mark.parametrize("keys", [0, 33])
def test_numbers_of_keys_that_do_not_fit_are_errors(
    keys: int, make_weights: Callable[..., Any]
) -> None:
    config, weights, batch = case({}, make_weights)
    wrong = PackedBatch(batch.values, batch.lengths, num_keys=np.array([70, keys, 5, 20]))
    with pytest.raises(InputError, match="num_keys="):
        ReferenceBackend(config, weights).hidden_states(wrong, [2])
    with pytest.raises(InputError, match="only hidden_states"):
        TorchBackend(config, weights, device="cpu").attention(batch, [0])

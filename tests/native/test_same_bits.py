"""The vectors of a sequence are the same to the last bit in every batch and with any threads."""

from collections.abc import Callable

import numpy as np
import pytest

from bothways.model.config import EncoderConfig, PoolingMode
from bothways.model.layout import initialize
from bothways.model.packing import PackedBatch
from bothways.model.weights import Weights
from bothways.native import NativeBackend, available_isas

CONFIGS = {
    "post-norm": EncoderConfig(
        num_layers=2, num_heads=2, d_model=40, d_ff=150, max_length=400, vocab_size=50
    ),
    "pre-norm, windows, rotary, gated": EncoderConfig(
        num_layers=3, num_heads=2, d_model=24, d_ff=70, max_length=400, vocab_size=50,
        position_embedding="none", attention_positions="rotary", norm="rms", norm_placement="pre",
        final_norm=True, gated=True,
        activation="silu", windows=(None, 3, 40),
    ),
    "relative, narrow embedding": EncoderConfig(
        num_layers=2, num_heads=3, d_model=48, d_ff=64, max_length=400, vocab_size=50,
        position_embedding="none", attention_positions="relative", embedding_size=20,
        activation="gelu_tanh",
    ),
    "alibi, gated": EncoderConfig(
        num_layers=2, num_heads=3, d_model=48, d_ff=64, max_length=400, vocab_size=50,
        position_embedding="none", attention_positions="alibi", gated=True,
    ),
    "disentangled": EncoderConfig(
        num_layers=2, num_heads=2, d_model=24, d_ff=32, max_length=400, vocab_size=50,
        position_embedding="none", attention_positions="disentangled", relative_buckets=100,
        relative_max_distance=300,
    ),
    "convolution": EncoderConfig(
        num_layers=2, num_heads=2, d_model=24, d_ff=32, max_length=400, vocab_size=50,
        convolution_kernel_size=3, convolution_groups=2,
    ),
    "causal, shared keys, norm of heads, sandwich": EncoderConfig(
        num_layers=2, num_heads=6, num_key_value_heads=2, head_size=10, d_model=40, d_ff=64,
        max_length=400, vocab_size=50, position_embedding="none", attention_positions="rotary",
        norm="rms", norm_placement="sandwich", query_key_norm="head",
        attention_direction="causal", windows=(None, 30),
    ),
    "experts": EncoderConfig(
        num_layers=2, num_heads=2, d_model=24, d_ff=32, max_length=400, vocab_size=50,
        num_experts=5, experts_per_token=2, expert_blocks=(0, 1),
    ),
}  # fmt: skip
LENGTHS = [1, 2, 3, 5, 7, 13, 14, 15, 16, 17, 29, 31, 33, 64, 65, 100, 127, 129, 257, 400]
BATCHES = 300
"""Random batches per config and precision; a tenth on all instruction sets but the fastest."""


@pytest.mark.parametrize("isa", available_isas())
@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", CONFIGS)
def test_neighbors_position_batch_and_threads_change_no_bit(
    name: str, precision: str, isa: str, make_weights: Callable[[EncoderConfig], Weights]
) -> None:
    config = CONFIGS[name]
    weights = make_weights(config)
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, config.vocab_size, length) for length in LENGTHS]
    backends = [
        NativeBackend(config, weights, precision=precision, threads=threads, isa=isa)
        for threads in (1, 2, 5)
    ]
    modes: list[PoolingMode] = ["mean", "max", "last"]
    alone = [backends[0].pool(PackedBatch.of([sequence]), modes)[0] for sequence in sequences]
    hidden = [
        backends[0].hidden_states(PackedBatch.of([sequence]), [config.num_layers])[0]
        for sequence in sequences
    ]
    for number in range(BATCHES // (1 if isa == available_isas()[0] else 10)):
        picks = rng.integers(0, len(sequences), rng.integers(1, 12))
        batch = PackedBatch.of([sequences[i] for i in picks])
        backend = backends[number % len(backends)]
        pooled = backend.pool(batch, modes)
        for index, vector in zip(picks, pooled, strict=True):
            assert (vector == alone[index]).all()
        together = batch.split(backend.hidden_states(batch, [config.num_layers])[0])
        for index, vectors in zip(picks, together, strict=True):
            assert (vectors == hidden[index]).all()


def test_feed_forwards_too_wide_for_the_cache_change_no_bit() -> None:
    """Weights of more than 16 MiB are read once for up to 320 tokens, and not for every 96."""
    config = EncoderConfig(
        num_layers=1, num_heads=8, d_model=512, d_ff=4200, max_length=330, vocab_size=50
    )
    backend = NativeBackend(config, initialize(config), threads=2)
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 50, length) for length in (330, 5, 100, 97)]
    together = backend.pool(PackedBatch.of(sequences), ["mean"])
    for sequence, vector in zip(sequences, together, strict=True):
        assert (backend.pool(PackedBatch.of([sequence]), ["mean"])[0] == vector).all()

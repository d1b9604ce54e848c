"""Parameters, operations and bytes, counted by hand."""

import dataclasses
import math
from typing import Any

import pytest

from bothways import EncoderConfig
from bothways.model.baselines import BASELINES, BaselineConfig, BaselineName
from bothways.model.baselines import layout as baseline
from bothways.model.costs import (
    bytes_per_token,
    encoding_bytes,
    operations,
    parameters_by_part,
)
from bothways.model.layout import layout
from bothways.model.packing import DEFAULT_MAX_TOKENS

SIZES: dict[str, Any] = {"num_layers": 1, "num_heads": 1, "d_model": 8, "d_ff": 32, "max_length": 6}
PLAIN = EncoderConfig(**SIZES, vocab_size=10, num_segments=2)

CONFIGS = {
    "bert": EncoderConfig(
        num_layers=6, num_heads=12, d_model=384, d_ff=1536, vocab_size=30522, num_segments=2
    ),
    "shared": EncoderConfig(
        num_layers=3,
        num_heads=2,
        d_model=8,
        d_ff=16,
        vocab_size=10,
        embedding_size=4,
        block_of_layer=(0, 0, 0),
    ),
    "gated": EncoderConfig(
        num_layers=3,
        num_heads=2,
        d_model=8,
        d_ff=16,
        vocab_size=10,
        gated=True,
        position_embedding="none",
        attention_positions="rotary",
        windows=(None, 2, 2),
        final_norm=True,
        norm_placement="pre",
    ),
    "relative": EncoderConfig(
        num_layers=1,
        num_heads=2,
        d_model=8,
        d_ff=16,
        vocab_size=10,
        position_embedding="none",
        attention_positions="relative",
    ),
    "decoder": EncoderConfig(
        num_layers=3,
        num_heads=4,
        num_key_value_heads=2,
        head_size=3,
        d_model=8,
        d_ff=16,
        vocab_size=10,
        gated=True,
        query_key_norm="head",
        attention_direction="causal",
        windows=(None, 2, None),
    ),
    "convolution": dataclasses.replace(PLAIN, convolution_kernel_size=3),
    "experts": EncoderConfig(
        num_layers=3,
        num_heads=2,
        d_model=8,
        d_ff=16,
        vocab_size=10,
        num_experts=4,
        experts_per_token=2,
        expert_blocks=(0, 2),
    ),
    "series": EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=16, input="vectors", num_channels=3
    ),
}


def test_a_convolution_costs_its_matrix_once_and_its_neighborhoods_in_memory() -> None:
    """d_model 8 in two groups, kernels of 3: 12 inputs of each output."""
    config = dataclasses.replace(PLAIN, convolution_kernel_size=3, convolution_groups=2)
    assert operations(config).fixed - operations(PLAIN).fixed == 8 * 12
    parts, plain = parameters_by_part(config), parameters_by_part(PLAIN)
    assert parts.pop("convolution") == 8 * 12 + 8
    assert parts == plain | {"norms": plain["norms"] + 2 * 8}
    wide = dataclasses.replace(config, convolution_kernel_size=5)
    assert bytes_per_token(config) == 4 * (4 * 8 + 8 + 2 * 32)
    assert bytes_per_token(wide) == 4 * (4 * 8 + 8 + 2 * 5 * 8)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_parts_add_up_to_all_parameters(name: str) -> None:
    whole = sum(math.prod(shape) for shape in layout(CONFIGS[name]).values())
    assert sum(parameters_by_part(CONFIGS[name]).values()) == whole


def test_parameters_are_counted_by_part() -> None:
    D, F = 384, 1536
    assert parameters_by_part(CONFIGS["bert"]) == {
        "embedding": (30522 + 512 + 2) * D + 2 * D,
        "attention": 6 * 4 * (D * D + D),
        "feed-forward": 6 * (2 * D * F + F + D),
        "norms": 6 * 4 * D,
    }


def test_weights_that_layers_share_are_counted_once() -> None:
    assert parameters_by_part(CONFIGS["shared"])["attention"] == 4 * (8 * 8 + 8)


def test_a_bias_by_distance_is_of_attention() -> None:
    assert parameters_by_part(CONFIGS["relative"])["attention"] == 4 * (8 * 8 + 8) + 32 * 2


def test_operations_count_every_layer_even_if_layers_share_weights() -> None:
    D, F = 384, 1536
    cost = operations(CONFIGS["bert"])
    assert cost.at(128) == 6 * (4 * D * D + 2 * D * F + 2 * D * 128)
    assert cost.formula() == "10,616,832 + 4,608 L"
    assert operations(CONFIGS["shared"]).at(10) == 4 * 8 + 3 * (4 * 64 + 2 * 8 * 16 + 2 * 8 * 10)


def test_a_window_bounds_the_positions_that_attention_costs() -> None:
    cost = operations(CONFIGS["gated"])
    fixed = 3 * (4 * 64 + 3 * 8 * 16)
    assert cost.at(4) == fixed + 2 * 8 * (4 + 4 + 4)
    assert cost.at(100) == fixed + 2 * 8 * (100 + 5 + 5)
    assert cost.formula() == f"{fixed:,} + 16 L + 32 min(L, 5)"


def test_causal_attention_with_shared_keys_costs_less() -> None:
    """Queries are 4 · 3 wide, keys and values 2 · 3; a token sees half of the positions."""
    cost = operations(CONFIGS["decoder"])
    fixed = 3 * (2 * 8 * (12 + 6) + 3 * 8 * 16)
    assert cost.at(100) == fixed + 2 * 12 * (50 + 50 + 3)
    assert cost.formula() == f"{fixed:,} + 24 L + 24 min(L, 3)"
    assert parameters_by_part(CONFIGS["decoder"])["norms"] == 3 * (2 * 2 * 8 + 2 * 3)


def test_disentangled_attention_costs_products_with_each_distance_up_to_its_table() -> None:
    config = dataclasses.replace(
        PLAIN, num_layers=3, attention_positions="disentangled", relative_buckets=24,
        windows=(None, 2, None),
    )  # fmt: skip
    cost, plain = operations(config), operations(dataclasses.replace(PLAIN, num_layers=3))
    assert cost.formula() == f"{plain.fixed:,} + 32 L + 16 min(L, 5) + 16 min(L, 5) + 32 min(L, 24)"
    assert cost.at(50) == plain.fixed + 32 * 50 + 16 * 5 + 16 * 5 + 32 * 24
    assert parameters_by_part(config)["attention"] - parameters_by_part(
        dataclasses.replace(PLAIN, num_layers=3)
    )["attention"] == 24 * 8 + 3 * 2 * (8 * 8 + 8)


def test_only_the_experts_of_a_token_cost_operations() -> None:
    """Two layers with a router and 2 of 4 experts, and a layer without."""
    cost = operations(CONFIGS["experts"])
    assert cost.fixed == 3 * 4 * 64 + 2 * (8 * 4 + 2 * 2 * 8 * 16) + 2 * 8 * 16
    parts = parameters_by_part(CONFIGS["experts"])
    assert parts["feed-forward"] == 2 * (4 * 8 + 4 * 2 * 8 * 16 + 8) + 2 * 8 * 16 + 16 + 8
    assert bytes_per_token(CONFIGS["experts"]) == 4 * (4 * 8 + 2 * 16 + 3 * 8)


def test_a_series_costs_a_product_with_its_channels() -> None:
    assert operations(CONFIGS["series"]).fixed == 3 * 8 + 4 * 64 + 2 * 8 * 16


@pytest.mark.parametrize("kind", BASELINES)
def test_the_parts_of_a_baseline_add_up_and_its_operations_do_not_depend_on_length(
    kind: BaselineName,
) -> None:
    config = BaselineConfig(
        kind=kind, num_layers=2, width=4, embedding_width=6, input="vectors", num_channels=3
    )
    shapes = baseline.layout(config).values()
    parts = parameters_by_part(config)
    assert sum(parts.values()) == sum(math.prod(shape) for shape in shapes)
    assert parts["embedding"] == 3 * 6 + 6 + 2 * 6
    cost = operations(config)
    assert cost.at(8) == cost.at(512) == sum(math.prod(s) for s in shapes if len(s) > 1)


def test_a_table_of_tokens_is_looked_up_and_not_multiplied() -> None:
    config = BaselineConfig(
        kind="rnn-forward", num_layers=1, width=4, embedding_width=6, vocab_size=100
    )
    assert operations(config).formula() == f"{4 * 6 + 4 * 4}"


def test_the_widest_part_determines_bytes_per_token() -> None:
    """d_model 8, d_ff 32, in float32: four vectors, and 2 · 32 activations."""
    assert bytes_per_token(PLAIN) == 4 * (4 * 8 + 2 * 32)
    gated = EncoderConfig(**SIZES, vocab_size=10, gated=True)
    assert bytes_per_token(gated) == 4 * (4 * 8 + 3 * 32)
    narrow = EncoderConfig(**SIZES | {"d_ff": 8}, vocab_size=10)
    assert bytes_per_token(narrow) == 4 * (4 * 8 + 4 * 8)
    assert bytes_per_token(PLAIN, kept_layers=3) - bytes_per_token(PLAIN) == 3 * 4 * 8


def test_a_default_batch_of_a_large_encoder_needs_less_than_a_gibibyte() -> None:
    large = EncoderConfig(
        num_layers=24, num_heads=16, d_model=1024, d_ff=4096, vocab_size=10, gated=True
    )
    assert DEFAULT_MAX_TOKENS * bytes_per_token(large) < 2**30


def test_encoding_counts_vectors_twice_and_ids_once() -> None:
    none, some = encoding_bytes(1000, 0, 384), encoding_bytes(1000, 50_000, 384)
    assert some - none == 50_000 * 8
    assert encoding_bytes(1000, 0, 768) - none == 2 * 1000 * 384 * 4


def test_bytes_per_token_of_baselines_depend_on_gates_and_kernel() -> None:
    """d_model 8, embeddings of 6, width 4: E + D twice, then the layer's numbers."""
    fields: dict[str, Any] = {"num_layers": 2, "width": 4, "embedding_width": 6, "vocab_size": 9}
    lstm = bytes_per_token(BaselineConfig(kind="lstm", **fields))
    assert lstm == 4 * (2 * (8 + 6) + 2 * (8 + (4 + 1) * 4))
    gru = bytes_per_token(BaselineConfig(kind="gru", **fields))
    assert lstm - gru == 4 * 2 * 4
    convolution = bytes_per_token(BaselineConfig(kind="convolution", **fields))
    assert convolution == 4 * (2 * (6 + 6) + 2 * 3 * 6 + 2 * 4)

from typing import Any

import numpy as np

from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize, layout

BERT_LIKE = EncoderConfig(
    num_layers=2, num_heads=2, d_model=4, d_ff=6, vocab_size=9, max_length=7, num_segments=2
)
MODERN_LIKE = EncoderConfig(
    num_layers=2,
    num_heads=2,
    d_model=4,
    d_ff=6,
    vocab_size=9,
    position_embedding="none",
    attention_positions="rotary",
    windows=(None, 64),
    norm_bias=False,
    norm_placement="pre",
    first_attention_norm=False,
    final_norm=True,
    gated=True,
    attention_bias=False,
    feed_forward_bias=False,
)


def test_the_names_of_a_bert_are_a_contract() -> None:
    """Saved models and tables of names depend on them: a change here breaks people's files."""
    block = {
        "attention.query.weight": (4, 4),
        "attention.query.bias": (4,),
        "attention.key.weight": (4, 4),
        "attention.key.bias": (4,),
        "attention.value.weight": (4, 4),
        "attention.value.bias": (4,),
        "attention.output.weight": (4, 4),
        "attention.output.bias": (4,),
        "attention_norm.weight": (4,),
        "attention_norm.bias": (4,),
        "feed_forward.up.weight": (6, 4),
        "feed_forward.up.bias": (6,),
        "feed_forward.down.weight": (4, 6),
        "feed_forward.down.bias": (4,),
        "feed_forward_norm.weight": (4,),
        "feed_forward_norm.bias": (4,),
    }
    assert layout(BERT_LIKE) == {
        "embedding.token.weight": (9, 4),
        "embedding.segment.weight": (2, 4),
        "embedding.position.weight": (7, 4),
        "embedding.norm.weight": (4,),
        "embedding.norm.bias": (4,),
        **{f"blocks.0.{name}": shape for name, shape in block.items()},
        **{f"blocks.1.{name}": shape for name, shape in block.items()},
    }


def test_the_names_of_a_modern_bert_are_a_contract() -> None:
    after_attention_norm = {
        "feed_forward.gate.weight": (6, 4),
        "feed_forward.up.weight": (6, 4),
        "feed_forward.down.weight": (4, 6),
        "feed_forward_norm.weight": (4,),
    }
    attention = {f"attention.{name}.weight": (4, 4) for name in ("query", "key", "value", "output")}
    second = {**attention, "attention_norm.weight": (4,), **after_attention_norm}
    assert layout(MODERN_LIKE) == {
        "embedding.token.weight": (9, 4),
        "embedding.norm.weight": (4,),
        **{f"blocks.0.{n}": shape for n, shape in (attention | after_attention_norm).items()},
        **{f"blocks.1.{n}": shape for n, shape in second.items()},
        "final_norm.weight": (4,),
    }


def _names(**fields: Any) -> dict[str, tuple[int, ...]]:
    sizes = {"num_layers": 3, "num_heads": 2, "d_model": 4, "d_ff": 6, "vocab_size": 9}
    return layout(EncoderConfig(**sizes | fields))


def test_each_variant_adds_its_weights() -> None:
    alone = _names(position_embedding="none", attention_positions="relative")
    assert alone["relative_bias.weight"] == (32, 2)
    assert "embedding.position.weight" not in alone
    both = _names(attention_positions="relative", position_offset=2)
    assert both["embedding.position.weight"] == (514, 4)
    narrow = _names(embedding_size=3)
    assert narrow["embedding.token.weight"] == (9, 3)
    assert narrow["embedding.norm.weight"] == (3,)
    assert narrow["embedding.projection.weight"] == (4, 3)
    series = _names(input="vectors", vocab_size=0, num_channels=5)
    assert series["embedding.input.weight"] == (4, 5)
    assert "embedding.token.weight" not in series
    assert "embedding.norm.weight" not in _names(embedding_norm=False)


def test_shared_blocks_are_listed_once() -> None:
    names = _names(block_of_layer=(0, 1, 0))
    assert {name.split(".")[1] for name in names if name.startswith("blocks.")} == {"0", "1"}


TOKENS = "embedding.token.weight"


def test_fresh_weights_depend_on_the_seed_alone() -> None:
    first, again, other = (initialize(BERT_LIKE, seed=seed) for seed in (1, 1, 2))
    assert all((first[name] == again[name]).all() for name in first)
    assert (first[TOKENS] != other[TOKENS]).all()
    assert {array.dtype for array in first.values()} == {np.dtype(np.float32)}


def test_fresh_gains_are_one_and_biases_zero() -> None:
    weights = initialize(BERT_LIKE, scale=0.5)
    assert (weights["blocks.1.attention_norm.weight"] == 1).all()
    assert not weights["blocks.1.attention_norm.bias"].any()
    assert not weights["blocks.0.feed_forward.up.bias"].any()
    wide = EncoderConfig(num_layers=1, num_heads=1, d_model=64, d_ff=64, vocab_size=1000)
    assert abs(initialize(wide, scale=0.5)[TOKENS].std() - 0.5) < 0.01  # of 64,000 numbers


def test_the_names_of_a_gemma_are_a_contract() -> None:
    """Heads wider than d_model / num_heads, shared keys, norms of queries and keys, a sandwich."""
    config = EncoderConfig(
        num_layers=1,
        num_heads=4,
        d_model=4,
        d_ff=6,
        vocab_size=9,
        head_size=3,
        num_key_value_heads=2,
        position_embedding="none",
        embedding_norm=False,
        norm="rms",
        norm_placement="sandwich",
        norm_zero_centered=True,
        query_key_norm="head",
        attention_bias=False,
        feed_forward_bias=False,
    )
    block = {
        "attention.query.weight": (12, 4),
        "attention.key.weight": (6, 4),
        "attention.value.weight": (6, 4),
        "attention.output.weight": (4, 12),
        "attention.query_norm.weight": (3,),
        "attention.key_norm.weight": (3,),
        "attention_norm.weight": (4,),
        "attention_output_norm.weight": (4,),
        "feed_forward_norm.weight": (4,),
        "feed_forward_output_norm.weight": (4,),
        "feed_forward.up.weight": (6, 4),
        "feed_forward.down.weight": (4, 6),
    }
    assert layout(config) == {
        "embedding.token.weight": (9, 4),
        **{f"blocks.0.{name}": shape for name, shape in block.items()},
    }
    gains = [array for name, array in initialize(config).items() if "_norm." in name]
    assert all((gain == 0).all() for gain in gains)


def test_a_norm_of_all_heads_is_as_wide_as_they_are() -> None:
    config = EncoderConfig(
        num_layers=1,
        num_heads=4,
        d_model=8,
        d_ff=6,
        vocab_size=9,
        num_key_value_heads=1,
        query_key_norm="all_heads",
        final_norm=True,
        final_norm_bias=False,
    )
    names = layout(config)
    assert names["blocks.0.attention.query_norm.weight"] == (8,)
    assert names["blocks.0.attention.key_norm.weight"] == (2,)
    assert names["blocks.0.attention_norm.bias"] == (8,)
    assert "final_norm.bias" not in names


def test_the_names_of_experts_are_a_contract() -> None:
    names = _names(num_experts=5, experts_per_token=2, expert_blocks=(1,))
    assert {name for name in names if name.startswith("blocks.1.feed_forward.")} == {
        "blocks.1.feed_forward.router.weight",
        "blocks.1.feed_forward.experts.up.weight",
        "blocks.1.feed_forward.experts.down.weight",
        "blocks.1.feed_forward.experts.bias",
    }
    assert names["blocks.1.feed_forward.router.weight"] == (5, 4)
    assert names["blocks.1.feed_forward.experts.up.weight"] == (30, 4)
    assert names["blocks.1.feed_forward.experts.down.weight"] == (30, 4)
    assert names["blocks.0.feed_forward.down.weight"] == (4, 6)
    without = _names(
        num_experts=5, experts_per_token=2, expert_blocks=(1,), feed_forward_bias=False
    )
    assert "blocks.1.feed_forward.experts.bias" not in without

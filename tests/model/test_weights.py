from typing import Any

import numpy as np
import pytest

from bothways.errors import CheckpointError
from bothways.model.config import EncoderConfig
from bothways.model.weights import check, initialize, layout

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
    assert _names(position_embedding="none", attention_positions="relative")[
        "relative_bias.weight"
    ] == (32, 2)
    assert "embedding.position.weight" not in _names(
        position_embedding="none", attention_positions="relative"
    )
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


def test_weights_that_fit_pass() -> None:
    for config in (BERT_LIKE, MODERN_LIKE):
        check(config, initialize(config), "model.safetensors")


def _broken(name: str, array: np.ndarray | None) -> dict[str, np.ndarray]:
    weights = initialize(BERT_LIKE)
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
        ("extra.weight", np.zeros(1), "f.st: weight 'extra.weight' is unexpected (1 are)"),
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
        check(BERT_LIKE, _broken(name, array), "f.st")
    assert message in str(raised.value)


def test_huge_finite_weights_are_finite() -> None:
    """Their sum overflows in float64; none of them is infinite."""
    check(BERT_LIKE, _broken(TOKENS, np.full((9, 4), 1e308)), "f.st")


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

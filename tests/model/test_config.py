import json
import math
from typing import Any

import pytest

from bothways.errors import ConfigError
from bothways.model.config import EncoderConfig

SMALL: dict[str, Any] = {"num_layers": 2, "num_heads": 2, "d_model": 8, "d_ff": 16, "vocab_size": 9}
SERIES = {"input": "vectors", "vocab_size": 0, "num_channels": 3}

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"num_layers": "2"}, "num_layers='2': expected int"),
    ({"num_layers": True}, "num_layers=True: expected int"),
    ({"d_ff": 16.0}, "d_ff=16.0: expected int"),
    ({"norm_eps": None}, "norm_eps=None: expected float or int"),
    ({"gated": 1}, "gated=1: expected bool"),
    ({"embedding_size": 2.0}, "embedding_size=2.0: expected int or None"),
    ({"rotary_base_local": "5"}, "rotary_base_local='5': expected float or int or None"),
    ({"windows": [1, 1]}, "windows=[1, 1]: expected tuple"),
    ({"input": "images"}, "input='images': expected one of tokens, vectors"),
    (
        {"position_embedding": None},
        "position_embedding=None: expected one of learned, sinusoidal, none",
    ),
    (
        {"attention_positions": "learned"},
        "attention_positions='learned': expected one of rotary, relative, alibi, "
        "disentangled, none",
    ),
    ({"norm": "batch"}, "norm='batch': expected one of layer, rms"),
    ({"norm_placement": "both"}, "norm_placement='both': expected one of post, pre, sandwich"),
    ({"query_key_norm": "row"}, "query_key_norm='row': expected one of none, head, all_heads"),
    (
        {"attention_direction": "left"},
        "attention_direction='left': expected one of both, causal",
    ),
    ({"convolution_kernel_size": 2}, "convolution_kernel_size=2: expected 0, or an odd number"),
    ({"convolution_kernel_size": -1}, "convolution_kernel_size=-1: expected 0, or an odd number"),
    (
        {"convolution_kernel_size": 3, "num_layers": 0},
        "convolution_kernel_size=3: expected 0 without layers",
    ),
    ({"convolution_groups": 3}, "convolution_groups=3: expected a divisor of d_model=8"),
    ({"convolution_groups": 0}, "convolution_groups=0: expected a divisor of d_model=8"),
    ({"head_size": 0}, "head_size=0: expected at least 1 or None"),
    ({"rotary_magnitude": 0.0}, "rotary_magnitude=0.0: expected a finite number above 0"),
    ({"rotary_scaling": "yarn", "rotary_turns": (2.0,)}, "rotary_turns=(2.0,): expected two"),
    ({"rotary_scaling": "llama3", "rotary_original_length": 0}, "rotary_original_length=0"),
    ({"rotary_scaling": "longrope", "rotary_pair_factors": (1.0, -1.0)}, "2 finite numbers above"),
    ({"position_embedding": "sinusoidal", "max_length": 2**26}, "would have 536,870,912 numbers"),
    (
        {"attention_positions": "disentangled", "max_length": 2**21},
        "max_length=2097152: expected at most 1,048,576",
    ),
    ({"num_experts": 2}, "num_experts=2 and expert_blocks=(): expected at least one"),
    ({"expert_blocks": (0,)}, "num_experts=0 and expert_blocks=(0,): expected at least one"),
    (
        {"num_experts": 2, "experts_per_token": 3, "expert_blocks": (0,)},
        "experts_per_token=3: expected 1 to num_experts=2",
    ),
    ({"num_experts": 2, "experts_per_token": 1, "expert_blocks": (99,)}, "expert_blocks=(99,)"),
    ({"num_experts": 2, "experts_per_token": 1, "expert_blocks": (1, 0)}, "expected rising"),
    ({"num_experts": 2, "experts_per_token": 1, "expert_blocks": (0,), "gated": True}, "gated"),
    ({"num_key_value_heads": 3}, "num_key_value_heads=3: expected a divisor of num_heads=2"),
    ({"num_key_value_heads": 0}, "num_key_value_heads=0: expected a divisor of num_heads=2"),
    ({"attention_scale": 0.0}, "attention_scale=0.0: expected a finite number above 0"),
    ({"residual_scale": math.inf}, "residual_scale=inf: expected a finite number above 0"),
    ({"embedding_scale": -1.0}, "embedding_scale=-1.0: expected a finite number above 0"),
    (
        {"embedding_scale": 2.0, "input": "vectors", "vocab_size": 0, "num_channels": 3},
        "embedding_scale is for input='tokens' only",
    ),
    (
        {"norm_placement": "sandwich", "first_attention_norm": False},
        "first_attention_norm=False needs norm_placement='pre'",
    ),
    ({"activation": "tanh"}, "activation='tanh': expected one of relu, gelu, gelu_tanh, silu"),
    ({"rotary_precision": "int8"}, "rotary_precision='int8': expected one of exact, float16"),
    ({"num_layers": -1}, "num_layers=-1: expected at least 0"),
    ({"num_heads": 0}, "num_heads=0: expected at least 1"),
    ({"d_model": -8}, "d_model=-8: expected at least 1"),
    ({"d_ff": 0}, "d_ff=0: expected at least 1"),
    ({"max_length": 0}, "max_length=0: expected at least 1"),
    (
        {"num_heads": 7, "d_model": 768},
        "num_heads=7 does not divide d_model=768; choose a divisor such as 6, 8, 12",
    ),
    ({"norm_eps": -1e-9}, "norm_eps=-1e-09: expected a finite number of at least 0"),
    ({"norm_eps": math.nan}, "norm_eps=nan: expected a finite number of at least 0"),
    ({"norm_eps": math.inf}, "norm_eps=inf: expected a finite number of at least 0"),
    ({"dropout": 1.0}, "dropout=1.0: expected at least 0, below 1"),
    ({"attention_dropout": -0.1}, "attention_dropout=-0.1: expected at least 0, below 1"),
    ({"num_segments": -1}, "num_segments=-1: expected at least 0"),
    (
        {"vocab_size": 0},
        "input='tokens' needs vocab_size >= 1 and num_channels=0; got vocab_size=0",
    ),
    ({"num_channels": 2}, "input='tokens' needs vocab_size >= 1 and num_channels=0"),
    ({"input": "vectors"}, "input='vectors' needs num_channels >= 1 and vocab_size=0"),
    (SERIES | {"vocab_size": 4}, "got num_channels=3, vocab_size=4"),
    (SERIES | {"embedding_size": 4}, "embedding_size is for input='tokens' only; leave it None"),
    ({"embedding_size": 0}, "embedding_size=0: expected at least 1 or None"),
    ({"rescaled_mask_token": 9}, "rescaled_mask_token=9: expected an id below vocab_size=9"),
    ({"rescaled_mask_token": -1}, "rescaled_mask_token=-1: expected an id below vocab_size=9"),
    (
        {"position_padding_token": 9, "position_offset": 1},
        "position_padding_token=9: expected an id below vocab_size=9",
    ),
    (
        {"position_padding_token": 1},
        "position_padding_token=1 takes the row before the first position's; expected a "
        "position_offset of at least 1",
    ),
    ({"position_offset": -1}, "position_offset=-1: expected at least 0"),
    (
        {"position_offset": 2, "position_embedding": "none", "attention_positions": "rotary"},
        "position_offset=2: expected 0, because position_embedding='none' has no table",
    ),
    (
        {"position_embedding": "none", "attention_positions": "rotary", "d_model": 6},
        "attention_positions='rotary' rotates pairs of numbers, and a head is 3 wide (d_model=6, ",
    ),
    ({"rotary_base": 1.0}, "rotary_base=1.0: expected a finite number above 1"),
    ({"rotary_base": math.inf}, "rotary_base=inf: expected a finite number above 1"),
    ({"rotary_base_local": 0.5}, "rotary_base_local=0.5: expected a finite number above 1"),
    ({"rotary_factor": 0.0}, "rotary_factor=0.0: expected a finite number above 0"),
    ({"relative_buckets": 30}, "relative_buckets=30: expected a multiple of 4"),
    ({"relative_buckets": 0}, "relative_buckets=0: expected a multiple of 4"),
    ({"relative_max_distance": 8}, "relative_max_distance=8: expected more than the 8 exact"),
    ({"windows": (1,)}, "windows has 1 entries; expected one for each of num_layers=2, or none"),
    ({"windows": (1, -1)}, "windows[1]=-1: expected None or at least 0"),
    ({"windows": (True, 1)}, "windows[0]=True: expected None or at least 0"),
    ({"block_of_layer": (0, 1, 1)}, "block_of_layer has 3 entries; expected one for each of"),
    ({"block_of_layer": (0, 2)}, "block_of_layer=(0, 2): expected blocks numbered from 0, no gaps"),
    ({"block_of_layer": (-1, 0)}, "block_of_layer=(-1, 0): expected blocks numbered from 0"),
    ({"block_of_layer": (0, 10**15)}, "expected blocks numbered from 0, no gaps"),
    ({"block_of_layer": ("0", "0")}, "block_of_layer=('0', '0'): expected blocks numbered from 0"),
    ({"first_attention_norm": False}, "first_attention_norm=False needs norm_placement='pre'"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_invalid_fields_are_refused_by_name_and_value(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        EncoderConfig(**SMALL | fields)
    assert message in str(raised.value)


def test_an_int_is_accepted_for_a_float() -> None:
    assert EncoderConfig(**SMALL, dropout=0, rotary_base=500).rotary_base == 500


FULL = EncoderConfig(
    **SMALL,
    position_embedding="none",
    attention_positions="rotary",
    rotary_base_local=100.0,
    windows=(None, 3),
    block_of_layer=(0, 0),
    norm_placement="pre",
    first_attention_norm=False,
    final_norm=True,
)


@pytest.mark.parametrize("config", [EncoderConfig(**SMALL), EncoderConfig(**SMALL | SERIES), FULL])
def test_a_config_survives_json(config: EncoderConfig) -> None:
    assert EncoderConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_an_unknown_field_is_refused_with_the_list_of_fields() -> None:
    with pytest.raises(ConfigError, match=r"unknown field 'heads'; EncoderConfig has num_layers, "):
        EncoderConfig.from_dict(SMALL | {"heads": 4})


def test_a_missing_field_is_named() -> None:
    fields = {name: value for name, value in SMALL.items() if name != "d_ff"}
    with pytest.raises(ConfigError, match="field 'd_ff' of EncoderConfig is missing"):
        EncoderConfig.from_dict(fields)


def test_json_values_of_a_wrong_kind_are_refused() -> None:
    for bad in ({"a": 1}, [1, "2"], "1"):
        with pytest.raises(ConfigError, match="windows"):
            EncoderConfig.from_dict(SMALL | {"windows": bad})


def test_derived_properties() -> None:
    assert FULL.head_width == 4
    assert FULL.num_blocks == 1
    assert [FULL.block(layer) for layer in (0, 1)] == [0, 0]
    assert [FULL.window(layer) for layer in (0, 1)] == [None, 3]
    assert [FULL.rotary_base_of(layer) for layer in (0, 1)] == [10_000, 100]
    assert [FULL.has_attention_norm(block) for block in (0, 1)] == [False, True]
    plain = EncoderConfig(**SMALL)
    assert (plain.num_blocks, plain.block(1), plain.window(1)) == (2, 1, None)
    assert plain.embedding_width == 8
    assert EncoderConfig(**SMALL, embedding_size=3).embedding_width == 3
    assert plain.norm_has_bias
    assert not EncoderConfig(**SMALL, norm="rms").norm_has_bias
    assert not EncoderConfig(**SMALL, norm_bias=False).norm_has_bias


def test_rotary_frequencies_are_powers_of_the_base() -> None:
    config = EncoderConfig(
        **SMALL | {"d_model": 16},
        position_embedding="none",
        attention_positions="rotary",
        rotary_base=16.0,
    )
    assert config.rotation(0).frequencies == (1.0, 0.5, 0.25, 0.125)


def test_rotary_frequencies_are_divided_by_the_factor() -> None:
    config = EncoderConfig(
        **SMALL | {"d_model": 16}, attention_positions="rotary", rotary_base=16.0, rotary_factor=4.0
    )
    assert config.rotation(0).frequencies == (0.25, 0.125, 0.0625, 0.03125)


def test_rotary_frequencies_can_be_rounded_to_half_precision() -> None:
    fields = SMALL | {
        "d_model": 16,
        "position_embedding": "none",
        "attention_positions": "rotary",
        "rotary_base": 1000.0,
    }
    exact = EncoderConfig(**fields).rotation(0).frequencies
    rounded = EncoderConfig(**fields, rotary_precision="float16").rotation(0).frequencies
    half_epsilon = 2.0**-11
    for a, b in zip(exact, rounded, strict=True):
        assert abs(a - b) <= half_epsilon * a
        assert (b * 2**24).is_integer()  # every half-precision number is a multiple of 2^-24
    assert exact != rounded

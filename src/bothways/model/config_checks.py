"""Which values of an encoder's config fit together."""

import math
from typing import TYPE_CHECKING, assert_never

from bothways.errors import ConfigError
from bothways.model.fields import check_field_types

if TYPE_CHECKING:
    from bothways.model.config import EncoderConfig

__all__ = ["check_config"]

_MAX_TABLE = 2**28
"""Numbers in a table of positions that no weights confirm: 1 GiB."""

_MAX_DISTANCES = 2**20
"""The largest max_length of attention that has a row for each distance."""


def check_config(config: "EncoderConfig") -> None:
    """Raise unless all fields have values that fit their types and each other.

    Raises:
        ConfigError: naming the field, its value, and the accepted values.
    """
    check_field_types(config)
    _check_sizes(config)
    _check_input(config)
    _check_position_embedding(config)
    _check_attention_positions(config)
    _check_norms(config)
    _check_layers(config)
    _check_convolution(config)
    _check_experts(config)


def _check_sizes(config: "EncoderConfig") -> None:
    if config.num_layers < 0:
        raise ConfigError(f"num_layers={config.num_layers}: expected at least 0")
    for name in ("num_heads", "d_model", "d_ff", "max_length"):
        if getattr(config, name) < 1:
            raise ConfigError(f"{name}={getattr(config, name)}: expected at least 1")
    if config.head_size is None and config.d_model % config.num_heads:
        limit = min(2 * config.num_heads, 1024)
        near = [h for h in range(1, limit + 1) if config.d_model % h == 0][-3:]
        raise ConfigError(
            f"num_heads={config.num_heads} does not divide d_model={config.d_model}; "
            f"choose a divisor such as {', '.join(map(str, near))}, or give a head_size"
        )
    if config.head_size is not None and config.head_size < 1:
        raise ConfigError(f"head_size={config.head_size}: expected at least 1 or None")
    groups = config.num_key_value_heads
    if groups is not None and (groups < 1 or config.num_heads % groups):
        raise ConfigError(
            f"num_key_value_heads={groups}: expected a divisor of num_heads={config.num_heads}, "
            "because each head of keys serves equally many heads of queries"
        )
    if not 0 <= config.norm_eps < math.inf:
        raise ConfigError(f"norm_eps={config.norm_eps}: expected a finite number of at least 0")
    for name in ("dropout", "attention_dropout"):
        if not 0 <= getattr(config, name) < 1:
            raise ConfigError(f"{name}={getattr(config, name)}: expected at least 0, below 1")


def _check_input(config: "EncoderConfig") -> None:
    if config.num_segments < 0:
        raise ConfigError(f"num_segments={config.num_segments}: expected at least 0")
    match config.input:
        case "tokens":
            if config.vocab_size < 1 or config.num_channels:
                raise ConfigError(
                    f"input='tokens' needs vocab_size >= 1 and num_channels=0; "
                    f"got vocab_size={config.vocab_size}, num_channels={config.num_channels}"
                )
        case "vectors":
            if config.num_channels < 1 or config.vocab_size:
                raise ConfigError(
                    f"input='vectors' needs num_channels >= 1 and vocab_size=0; "
                    f"got num_channels={config.num_channels}, vocab_size={config.vocab_size}"
                )
            if config.embedding_size is not None:
                raise ConfigError("embedding_size is for input='tokens' only; leave it None")
            if config.embedding_scale != 1:
                raise ConfigError("embedding_scale is for input='tokens' only; leave it 1")
        case unknown:
            assert_never(unknown)
    if config.embedding_size is not None and config.embedding_size < 1:
        raise ConfigError(f"embedding_size={config.embedding_size}: expected at least 1 or None")
    if not 0 < config.embedding_scale < math.inf:
        raise ConfigError(
            f"embedding_scale={config.embedding_scale}: expected a finite number above 0"
        )
    mask = config.rescaled_mask_token
    if mask is not None and not 0 <= mask < config.vocab_size:
        raise ConfigError(
            f"rescaled_mask_token={mask}: expected an id below vocab_size={config.vocab_size}"
        )


def _check_position_embedding(config: "EncoderConfig") -> None:
    match config.position_embedding:
        case "learned":
            if config.position_offset < 0:
                raise ConfigError(f"position_offset={config.position_offset}: expected at least 0")
        case "sinusoidal" | "none":
            _check_sinusoids(config)
            if config.position_offset:
                raise ConfigError(
                    f"position_offset={config.position_offset}: expected 0, because "
                    f"position_embedding={config.position_embedding!r} has no table"
                )
        case unknown:
            assert_never(unknown)
    padding = config.position_padding_token
    if padding is None:
        return
    if not 0 <= padding < config.vocab_size:
        raise ConfigError(
            f"position_padding_token={padding}: expected an id below vocab_size={config.vocab_size}"
        )
    if not config.position_offset:
        raise ConfigError(
            f"position_padding_token={padding} takes the row before the first position's; "
            "expected a position_offset of at least 1"
        )


def _check_sinusoids(config: "EncoderConfig") -> None:
    match config.position_embedding:
        case "sinusoidal":
            size = config.max_length * config.embedding_width
            if size > _MAX_TABLE:
                raise ConfigError(
                    f"max_length={config.max_length}: the table of sinusoidal positions would have "
                    f"{size:,} numbers; expected at most {_MAX_TABLE:,}"
                )
        case "learned" | "none":
            pass
        case unknown:
            assert_never(unknown)


def _check_attention_positions(config: "EncoderConfig") -> None:
    match config.attention_positions:
        case "rotary":
            if config.head_width % 2:
                raise ConfigError(
                    "attention_positions='rotary' rotates pairs of numbers, and a head is "
                    f"{config.head_width} wide (d_model={config.d_model}, "
                    f"num_heads={config.num_heads}, head_size={config.head_size}); "
                    "choose an even head width"
                )
        case "disentangled":
            _check_disentangled(config)
        case "relative" | "alibi" | "none":
            pass
        case unknown:
            assert_never(unknown)
    for name in ("rotary_base", "rotary_base_local"):
        base = getattr(config, name)
        if base is not None and not 1 < base < math.inf:
            raise ConfigError(f"{name}={base}: expected a finite number above 1")
    _check_rotary_scaling(config)
    _check_buckets(config)


def _check_rotary_scaling(config: "EncoderConfig") -> None:
    for name in ("rotary_factor", "rotary_magnitude"):
        if not 0 < getattr(config, name) < math.inf:
            raise ConfigError(f"{name}={getattr(config, name)}: expected a finite number above 0")
    match config.rotary_scaling:
        case "linear":
            pass
        case "yarn" | "llama3":
            turns, length = config.rotary_turns, config.rotary_original_length
            if not (
                len(turns) == 2
                and all(type(turn) in (int, float) for turn in turns)
                and 0 < turns[0] < turns[1] < math.inf
            ):
                raise ConfigError(f"rotary_turns={turns}: expected two rising numbers above 0")
            if length is not None and length < 1:
                raise ConfigError(f"rotary_original_length={length}: expected at least 1 or None")
        case "longrope":
            factors, pairs = config.rotary_pair_factors, config.head_width // 2
            if len(factors) != pairs or not all(
                type(each) in (int, float) and 0 < each < math.inf for each in factors
            ):
                raise ConfigError(
                    f"rotary_pair_factors has {len(factors)} entries: expected {pairs} finite "
                    "numbers above 0, one for each pair of numbers of a head"
                )
        case unknown:
            assert_never(unknown)


def _check_buckets(config: "EncoderConfig") -> None:
    match config.attention_positions:
        case "disentangled":
            # The exact distances and the one before the last bucket are apart on a log scale.
            multiple, exact, margin = 2, config.relative_buckets // 4, 2
            has_max_distance = config.relative_log_buckets
            half = ""
        case "rotary" | "relative" | "alibi" | "none":
            multiple, exact, margin = 4, config.relative_buckets // 4, 1
            has_max_distance = True
            half = ", and half of those for exact distances"
        case unknown:
            assert_never(unknown)
    if (
        (has_max_distance and exact < 1)
        or config.relative_buckets < multiple
        or (config.relative_buckets % multiple)
    ):
        raise ConfigError(
            f"relative_buckets={config.relative_buckets}: expected a multiple of {multiple}: "
            f"half of the buckets for each direction{half}"
        )
    if has_max_distance and config.relative_max_distance < exact + margin:
        raise ConfigError(
            f"relative_max_distance={config.relative_max_distance}: expected more than the "
            f"{exact} exact distances of relative_buckets"
        )


def _check_disentangled(config: "EncoderConfig") -> None:
    if config.max_length > _MAX_DISTANCES:
        raise ConfigError(
            f"max_length={config.max_length}: expected at most {_MAX_DISTANCES:,} with "
            "attention_positions='disentangled'"
        )
    if not (config.content_to_position or config.position_to_content):
        raise ConfigError(
            "attention_positions='disentangled' needs content_to_position or position_to_content"
        )
    match config.query_key_norm:
        case "none":
            pass
        case "head" | "all_heads":
            raise ConfigError(
                f"query_key_norm={config.query_key_norm!r}: expected 'none' with "
                "attention_positions='disentangled', whose vectors of distances have no such norm"
            )
        case unknown:
            assert_never(unknown)


def _check_norms(config: "EncoderConfig") -> None:
    match config.norm_placement:
        case "pre":
            pass
        case "post" | "sandwich":
            if not config.first_attention_norm:
                raise ConfigError("first_attention_norm=False needs norm_placement='pre'")
        case unknown:
            assert_never(unknown)
    for name in ("attention_scale", "residual_scale"):
        scale = getattr(config, name)
        if scale is not None and not 0 < scale < math.inf:
            raise ConfigError(f"{name}={scale}: expected a finite number above 0")


def _check_layers(config: "EncoderConfig") -> None:
    for name in ("windows", "block_of_layer"):
        value = getattr(config, name)
        if value and len(value) != config.num_layers:
            raise ConfigError(
                f"{name} has {len(value)} entries; expected one for each of "
                f"num_layers={config.num_layers}, or none"
            )
    for layer, window in enumerate(config.windows):
        if window is not None and (type(window) is not int or window < 0):
            raise ConfigError(f"windows[{layer}]={window!r}: expected None or at least 0")
    blocks = config.block_of_layer
    if blocks and (
        any(type(block) is not int for block in blocks)
        or sorted(set(blocks)) != list(range(len(set(blocks))))
    ):
        raise ConfigError(f"block_of_layer={blocks}: expected blocks numbered from 0, no gaps")


def _check_convolution(config: "EncoderConfig") -> None:
    size, groups = config.convolution_kernel_size, config.convolution_groups
    if size < 0 or (size and size % 2 == 0):
        raise ConfigError(
            f"convolution_kernel_size={size}: expected 0, or an odd number: as many positions on "
            "each side"
        )
    if size and not config.num_layers:
        raise ConfigError(
            f"convolution_kernel_size={size}: expected 0 without layers: the convolution is beside "
            "the first"
        )
    if groups < 1 or config.d_model % groups:
        raise ConfigError(
            f"convolution_groups={groups}: expected a divisor of d_model={config.d_model}"
        )


def _check_experts(config: "EncoderConfig") -> None:
    blocks = config.expert_blocks
    if not blocks and not config.num_experts and not config.experts_per_token:
        return
    if not blocks or config.num_experts < 1:
        raise ConfigError(
            f"num_experts={config.num_experts} and expert_blocks={blocks}: expected at least one "
            "expert and one block, or 0 and none"
        )
    if not 1 <= config.experts_per_token <= config.num_experts:
        raise ConfigError(
            f"experts_per_token={config.experts_per_token}: expected 1 to "
            f"num_experts={config.num_experts}"
        )
    if any(type(block) is not int or not 0 <= block < config.num_blocks for block in blocks):
        raise ConfigError(
            f"expert_blocks={blocks}: expected numbers of blocks, 0 to {config.num_blocks - 1}"
        )
    if list(blocks) != sorted(set(blocks)):
        raise ConfigError(f"expert_blocks={blocks}: expected rising numbers")
    if config.gated:
        raise ConfigError("gated=True: expected False with expert_blocks, whose experts have none")

"""The architecture of an encoder, in the field's own terms: the only place that names a variant.

A variant is a `Literal` here; every backend resolves it in one function that ends in
`assert_never`, so a variant that a backend forgets is a type error.
"""

import dataclasses
import math
import struct
from collections.abc import Mapping
from typing import Any, Literal, Protocol, Self, assert_never, get_args, runtime_checkable

from bothways.errors import ConfigError

__all__ = [
    "MASKED_IN_TRAINING",
    "Activation",
    "EncoderConfig",
    "EncoderShape",
    "Input",
    "Norm",
    "NormPlacement",
    "PoolingMode",
    "Positions",
    "RotaryPrecision",
]

Input = Literal["tokens", "vectors"]
Positions = Literal["learned", "sinusoidal", "rotary", "relative", "none"]
RotaryPrecision = Literal["exact", "float16"]
Norm = Literal["layer", "rms"]
NormPlacement = Literal["post", "pre"]
Activation = Literal["relu", "gelu", "gelu_tanh", "silu"]
PoolingMode = Literal["cls", "max", "mean", "mean_sqrt_len", "weighted_mean", "last"]

MASKED_IN_TRAINING = 0.15 * 0.8
"""Share of mask tokens when ESM-2 was trained: 15 % chosen, 80 % of those masked.

Lin et al. 2022, supplementary methods; Devlin et al. 2019, section 3.1. A `rescaled_mask_token` is
compensated for with it."""

_CHOICES: dict[str, tuple[str, ...]] = {
    "input": get_args(Input),
    "positions": get_args(Positions),
    "rotary_precision": get_args(RotaryPrecision),
    "norm": get_args(Norm),
    "norm_placement": get_args(NormPlacement),
    "activation": get_args(Activation),
}


@runtime_checkable
class EncoderShape(Protocol):
    """What readers, batches and heads ask of the config of an encoder, of whatever kind that is."""

    @property
    def num_layers(self) -> int:
        """After so many layers hidden states are to be had."""

    @property
    def d_model(self) -> int:
        """Width of the vectors that come out."""

    @property
    def max_length(self) -> int:
        """The longest sequence, in positions."""

    @property
    def input(self) -> Input:
        """Token ids or vectors."""

    @property
    def vocab_size(self) -> int:
        """Token ids are below it; 0 for vectors."""

    @property
    def num_channels(self) -> int:
        """Numbers of a vector; 0 for tokens."""

    @property
    def num_segments(self) -> int:
        """How many segments there are; 0 for none."""

    @property
    def embedding_width(self) -> int:
        """Width of the table of tokens."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """A Transformer encoder (Vaswani et al. 2017, section 3), with the variants in use today.

    Sizes:
        d_model, num_layers, num_heads, d_ff: as in the paper; a head is `d_model / num_heads` wide.
        max_length: the longest sequence, in positions, special tokens included.

    Input:
        input: `tokens`, ids below `vocab_size`; or `vectors`, `num_channels` numbers per position.
        num_segments: how many segments (token types) there are; 0 for none. BERT has 2.
        embedding_size: width of the embeddings when it differs from `d_model`; a projection then
            follows them (ALBERT, Lan et al. 2020, section 3.1). None for no projection.
        embedding_norm: whether the summed embeddings are normalized.
        rescaled_mask_token: id of a mask token whose embedding is zeroed and compensated for
            (ESM-2, Lin et al. 2022); None for no such rule.

    Positions:
        positions: `learned` (BERT), `sinusoidal` (Vaswani et al. 2017, section 3.5), `rotary`
            (Su et al. 2021, section 3.2), `relative` (a bias per head and bucket of distance,
            Raffel et al. 2020, section 2.1) or `none`. `relative` may be combined with learned
            positions, as MPNet does, through `learned_with_relative`.
        position_offset: row of the position table that the first position uses; RoBERTa's is 2.
        rotary_base, rotary_base_local: base of the rotary wavelengths; the second, where given, for
            layers with a window (ModernBERT, Warner et al. 2024, section 2.1).
        rotary_precision: `float16` where the frequencies were rounded to half precision when the
            model was trained, and its weights rely on that (ESM-2's released weights).
        relative_buckets, relative_max_distance: number of buckets (both directions together) and
            the distance from which all share the last one.

    Blocks:
        norm: `layer` (Ba et al. 2016) or `rms` (Zhang and Sennrich 2019); `norm_eps` is added to
            the variance; `norm_bias` says whether layer norm has a bias (rms never has).
        norm_placement: `post`, norm(x + f(x)), or `pre`, x + f(norm(x)) (Xiong et al. 2020).
        first_attention_norm: False where the first pre-norm block has no norm before its attention,
            because the embeddings have just been normalized (ModernBERT).
        final_norm: a last norm after all the blocks.
        activation, gated: the feed-forward is down(act(up(x))), or, gated (Shazeer 2020),
            down(act(gate(x)) * up(x)). `gelu` is the erf form, `gelu_tanh` its approximation.
        attention_bias, feed_forward_bias: whether those linear maps have biases.
        windows: for each layer, the largest distance that attention reaches (so that it sees
            2 * window + 1 positions), or None for all; empty for all in every layer.
        block_of_layer: for each layer, the block whose weights it uses; empty for one block a layer
            (ALBERT shares one block among all layers).

    Training:
        dropout: on the embeddings and on what each sublayer adds; `attention_dropout`: on the
            attention probabilities. Neither changes an encoding.

    Raises:
        ConfigError: naming the field, its value, and what it may be.
    """

    num_layers: int
    num_heads: int
    d_model: int
    d_ff: int
    max_length: int = 512

    input: Input = "tokens"
    vocab_size: int = 0
    num_channels: int = 0
    num_segments: int = 0
    embedding_size: int | None = None
    embedding_norm: bool = True
    rescaled_mask_token: int | None = None

    positions: Positions = "learned"
    learned_with_relative: bool = False
    position_offset: int = 0
    rotary_base: float = 10_000.0
    rotary_base_local: float | None = None
    rotary_precision: RotaryPrecision = "exact"
    relative_buckets: int = 32
    relative_max_distance: int = 128

    norm: Norm = "layer"
    norm_eps: float = 1e-12
    norm_bias: bool = True
    norm_placement: NormPlacement = "post"
    first_attention_norm: bool = True
    final_norm: bool = False
    activation: Activation = "gelu"
    gated: bool = False
    attention_bias: bool = True
    feed_forward_bias: bool = True
    windows: tuple[int | None, ...] = ()
    block_of_layer: tuple[int, ...] = ()

    dropout: float = 0.1
    attention_dropout: float = 0.1

    def __post_init__(self) -> None:
        self._check_types()
        self._check_sizes()
        self._check_input()
        self._check_positions()
        self._check_layers()

    # What follows from the fields.

    @property
    def head_width(self) -> int:
        """Width of one attention head: `d_model / num_heads`."""
        return self.d_model // self.num_heads

    @property
    def embedding_width(self) -> int:
        """Width at which embeddings are summed and normalized, before any projection."""
        return self.d_model if self.embedding_size is None else self.embedding_size

    @property
    def num_blocks(self) -> int:
        """Number of distinct blocks: fewer than the layers where layers share weights."""
        return max(self.block_of_layer) + 1 if self.block_of_layer else self.num_layers

    @property
    def has_position_table(self) -> bool:
        """Whether a learned table of positions is added to the embeddings."""
        return self.positions == "learned" or self.learned_with_relative

    @property
    def norm_has_bias(self) -> bool:
        """Whether the norms have a bias beside their gain."""
        return self.norm == "layer" and self.norm_bias

    def block(self, layer: int) -> int:
        """The block whose weights `layer` uses."""
        return self.block_of_layer[layer] if self.block_of_layer else layer

    def window(self, layer: int) -> int | None:
        """The largest distance that attention reaches in `layer`; None for all."""
        return self.windows[layer] if self.windows else None

    def rotary_base_of(self, layer: int) -> float:
        """The base of the rotary wavelengths in `layer`."""
        if self.rotary_base_local is not None and self.window(layer) is not None:
            return self.rotary_base_local
        return self.rotary_base

    def rotary_frequencies(self, layer: int) -> tuple[float, ...]:
        """Radians per position by which pair i of a head turns in `layer`: base^(-2i/K)."""
        base, K = self.rotary_base_of(layer), self.head_width
        exact = tuple(base ** (-2 * i / K) for i in range(K // 2))
        match self.rotary_precision:
            case "exact":
                return exact
            case "float16":  # computed in float32, then rounded
                return _round_to("e", _round_to("f", exact))
            case unknown:
                assert_never(unknown)

    def has_attention_norm(self, block: int) -> bool:
        """Whether `block` has a norm at its attention (all but ModernBERT's first do)."""
        return block > 0 or self.first_attention_norm

    # To and from JSON.

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values: tuples become lists."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            ConfigError: for a field that does not exist, is missing, or has a wrong value.
        """
        known = {field.name: field for field in dataclasses.fields(cls)}
        if unknown := sorted(set(fields) - set(known)):
            raise ConfigError(f"unknown field {unknown[0]!r}; EncoderConfig has {', '.join(known)}")
        required = [n for n, f in known.items() if f.default is dataclasses.MISSING]
        if missing := [name for name in required if name not in fields]:
            raise ConfigError(f"field {missing[0]!r} is missing; it has no default")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in fields.items()
        }
        return cls(**values)

    # What must hold.

    def _check_types(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in _CHOICES:
                if value not in _CHOICES[field.name]:
                    raise ConfigError(
                        f"{field.name}={value!r}: expected one of {', '.join(_CHOICES[field.name])}"
                    )
                continue
            expected = _FIELD_TYPES[field.name]
            # bool is an int to Python, never to us; an int is a fine float.
            if not isinstance(value, expected) or (
                isinstance(value, bool) and bool not in expected
            ):
                names = " or ".join(t.__name__.replace("NoneType", "None") for t in expected)
                raise ConfigError(f"{field.name}={value!r}: expected {names}")

    def _check_sizes(self) -> None:
        for name in ("num_layers", "num_heads", "d_model", "d_ff", "max_length"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: expected at least 1")
        if self.d_model % self.num_heads:
            limit = min(2 * self.num_heads, 1024)
            near = [h for h in range(1, limit + 1) if self.d_model % h == 0][-3:]
            raise ConfigError(
                f"num_heads={self.num_heads} does not divide d_model={self.d_model}; "
                f"choose a divisor such as {', '.join(map(str, near))}"
            )
        if not 0 <= self.norm_eps < math.inf:
            raise ConfigError(f"norm_eps={self.norm_eps}: expected a finite number of at least 0")
        for name in ("dropout", "attention_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: expected at least 0, below 1")

    def _check_input(self) -> None:
        if self.num_segments < 0:
            raise ConfigError(f"num_segments={self.num_segments}: expected at least 0")
        match self.input:
            case "tokens":
                if self.vocab_size < 1 or self.num_channels:
                    raise ConfigError(
                        f"input='tokens' needs vocab_size >= 1 and num_channels=0; "
                        f"got vocab_size={self.vocab_size}, num_channels={self.num_channels}"
                    )
            case "vectors":
                if self.num_channels < 1 or self.vocab_size:
                    raise ConfigError(
                        f"input='vectors' needs num_channels >= 1 and vocab_size=0; "
                        f"got num_channels={self.num_channels}, vocab_size={self.vocab_size}"
                    )
                if self.embedding_size is not None:
                    raise ConfigError("embedding_size is for input='tokens' only; leave it None")
        if self.embedding_size is not None and self.embedding_size < 1:
            raise ConfigError(f"embedding_size={self.embedding_size}: expected at least 1 or None")
        mask = self.rescaled_mask_token
        if mask is not None and not 0 <= mask < self.vocab_size:
            raise ConfigError(
                f"rescaled_mask_token={mask}: expected an id below vocab_size={self.vocab_size}"
            )

    def _check_positions(self) -> None:
        if self.learned_with_relative and self.positions != "relative":
            raise ConfigError("learned_with_relative=True needs positions='relative'")
        if self.position_offset < 0 or (self.position_offset and not self.has_position_table):
            raise ConfigError(
                f"position_offset={self.position_offset}: expected at least 0, "
                f"and 0 where positions={self.positions!r} have no learned table"
            )
        if self.positions == "rotary" and self.head_width % 2:
            raise ConfigError(
                f"rotary positions turn pairs of numbers, and a head is {self.head_width} wide "
                f"(d_model={self.d_model}, num_heads={self.num_heads}); choose an even head width"
            )
        for name in ("rotary_base", "rotary_base_local"):
            base = getattr(self, name)
            if base is not None and not 1 < base < math.inf:
                raise ConfigError(f"{name}={base}: expected a finite number above 1")
        if self.relative_buckets < 4 or self.relative_buckets % 4:
            raise ConfigError(
                f"relative_buckets={self.relative_buckets}: expected a multiple of 4, "
                "half for each direction, of which half are exact distances"
            )
        if self.relative_max_distance <= self.relative_buckets // 4:
            raise ConfigError(
                f"relative_max_distance={self.relative_max_distance}: expected more than the "
                f"{self.relative_buckets // 4} exact distances of relative_buckets"
            )

    def _check_layers(self) -> None:
        for name in ("windows", "block_of_layer"):
            value = getattr(self, name)
            if value and len(value) != self.num_layers:
                raise ConfigError(
                    f"{name} has {len(value)} entries; expected one for each of "
                    f"num_layers={self.num_layers}, or none"
                )
        for layer, window in enumerate(self.windows):
            if window is not None and (type(window) is not int or window < 0):
                raise ConfigError(f"windows[{layer}]={window!r}: expected None or at least 0")
        blocks = self.block_of_layer
        if blocks and (
            any(type(block) is not int for block in blocks)
            or sorted(set(blocks)) != list(range(len(set(blocks))))
        ):
            raise ConfigError(f"block_of_layer={blocks}: expected blocks numbered from 0, no gaps")
        if not self.first_attention_norm and self.norm_placement != "pre":
            raise ConfigError("first_attention_norm=False needs norm_placement='pre'")


def _round_to(code: str, numbers: tuple[float, ...]) -> tuple[float, ...]:
    """The numbers as `struct` stores them: code f for single precision, e for half."""
    packed = struct.pack(f"{len(numbers)}{code}", *numbers)
    return struct.unpack(f"{len(numbers)}{code}", packed)


_NONE = type(None)
_OF_ANNOTATION: dict[Any, tuple[type, ...]] = {
    int: (int,),
    float: (float, int),
    bool: (bool,),
    int | None: (int, _NONE),
    float | None: (float, int, _NONE),
    tuple[int | None, ...]: (tuple,),
    tuple[int, ...]: (tuple,),
}
_FIELD_TYPES: dict[str, tuple[type, ...]] = {
    field.name: _OF_ANNOTATION[field.type]
    for field in dataclasses.fields(EncoderConfig)
    if field.name not in _CHOICES
}

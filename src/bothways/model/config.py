"""The architecture of a Transformer encoder, in the field's own terms.

`variants` lists the fields that choose among formulas; `config_checks` says which values fit.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, Self, assert_never

from bothways.model.config_checks import check_config
from bothways.model.fields import check_field_names
from bothways.model.rotary import Rotation, plain_frequencies, rotation
from bothways.model.shape import EncoderShape
from bothways.model.variants import (
    Activation,
    AttentionDirection,
    AttentionPositions,
    ConvolutionActivation,
    Input,
    Norm,
    NormPlacement,
    PositionEmbedding,
    QueryKeyNorm,
    RotaryPrecision,
    RotaryScaling,
)

__all__ = [
    "MASKED_IN_TRAINING",
    "Activation",
    "AttentionDirection",
    "AttentionPositions",
    "ConvolutionActivation",
    "EncoderConfig",
    "EncoderShape",
    "HeadPooling",
    "Input",
    "Norm",
    "NormPlacement",
    "PoolingMode",
    "PositionEmbedding",
    "QueryKeyNorm",
    "RotaryPrecision",
    "RotaryScaling",
]

HeadPooling = Literal["cls", "max", "mean", "mean_sqrt_len", "weighted_mean", "last"]
"""Pooling modes of task heads."""
PoolingMode = Literal[HeadPooling, "mean_content"]
"""Pooling modes of vectors: `mean_content` leaves out the special tokens of the tokenizer."""

MASKED_IN_TRAINING = 0.15 * 0.8
"""Share of mask tokens when ESM-2 was trained: 15 % of the tokens selected, 80 % of those masked.

Lin et al. 2022, supplementary methods; Devlin et al. 2019, section 3.1. Embeddings are scaled by it
where the config has a `rescaled_mask_token`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """A Transformer encoder (Vaswani et al. 2017, section 3), with the variants in use today.

    Sizes:
        d_model, num_layers, num_heads, d_ff: as in the paper. Without layers, the hidden states are
            the embeddings, and sizes of heads and of the feed-forward mean nothing (static
            embeddings).
        head_size: width of a head where it differs from `d_model / num_heads` (T5); else None.
        num_key_value_heads: number of heads of keys and values where several heads of queries share
            one (Ainslie et al. 2023); None for as many as `num_heads`.
        max_length: the longest sequence, in positions, special tokens included.

    Input:
        input: `tokens`, ids below `vocab_size`; or `vectors`, `num_channels` numbers per position.
        num_segments: number of segments (token types); 0 for none. BERT has 2.
        embedding_size: width of the embeddings where it differs from `d_model`; a projection then
            follows them (ALBERT, Lan et al. 2020, section 3.1). None for no projection.
        embedding_scale: factor of the token embeddings (Vaswani et al. 2017, section 3.4).
        embedding_norm: whether the summed embeddings are normalized.
        rescaled_mask_token: id of the mask token in models that set its embedding to zero and
            rescale the others (ESM-2, Lin et al. 2022); None for no such rule.

    Positions:
        position_embedding: what is added to the embeddings: `learned`, a row of a table (BERT);
            `sinusoidal` (Vaswani et al. 2017, section 3.5); or `none`.
        attention_positions: how attention uses distance: `rotary` rotates queries and keys
            (Su et al. 2021, section 3.2); `relative` adds a learned bias per head and bucket of
            distance to the scores (Raffel et al. 2020, section 2.1); `alibi` subtracts the distance
            times a fixed slope per head, the same in both directions (Press et al. 2022, section
            3; Günther et al. 2023, section 4.1); `disentangled` adds the products of queries and
            keys with learned vectors of distances (He et al. 2021, section 3.1); or `none`. Both
            fields may be set: MPNet has `learned` and `relative`.
        position_offset: row of the position table for the first position; RoBERTa's is 2.
        position_padding_token: id of the padding token in models that do not count it as a
            position: it takes the row before the first position's, and the next token goes on
            counting from the one before it (RoBERTa's code; MPNet, ESM-1b); None where every
            token has a position.
        rotary_base, rotary_base_local: base of the rotary wavelengths; the second, if set, in
            layers with a window (ModernBERT, Warner et al. 2024, section 2.1).
        rotary_scaling: how rotary positions are scaled for inputs longer than those of training:
            `linear`, all frequencies are divided by `rotary_factor` (Chen et al. 2023, section 2.3;
            with another base, NTK-aware scaling; not scaled if the factor is 1); `yarn`, only the
            low frequencies are (Peng et al. 2023, section 3.2), as in `llama3`, with another
            transition (Grattafiori et al. 2024, section 3.4.2); `longrope`, each frequency is
            divided by its own one of `rotary_pair_factors` (Ding et al. 2024, section 3.2).
        rotary_original_length: length of the inputs of training, in yarn and llama3.
        rotary_turns: in both, pairs that turn less often than the first number in that length are
            divided by the factor, those that turn more often than the second are not.
        rotary_whole_pairs: whether yarn rounds the pairs at which that is so, away from each other.
        rotary_magnitude: factor of queries and keys that rotates with them (Peng et al. 2023, eq.
            22, where it is the root of 1 / t).
        rotary_scales_local: False if layers with a window are neither scaled nor multiplied.
        rotary_precision: `float16` for models whose frequencies were rounded to half precision in
            training, so that their weights rely on the rounding (ESM-2's released weights).
        relative_buckets, relative_max_distance: number of buckets (both directions together) and
            the distance from which all distances share the last bucket.
        relative_log_buckets: False if disentangled attention has one bucket per distance, and
            `relative_max_distance` no meaning; True if far distances share buckets on a
            logarithmic scale (DeBERTa v2 and v3; always so in `relative`).
        relative_embedding_norm: whether disentangled attention normalizes its table of distances.
        content_to_position, position_to_content: the terms of disentangled attention: products of
            queries with the vectors of distances, and of these with keys.
        shared_position_projections: whether the maps of queries and keys project the vectors of
            distances too (DeBERTa v2 and v3); they have maps of their own otherwise.

    Blocks:
        norm: `layer` (Ba et al. 2016) or `rms` (Zhang and Sennrich 2019). norm_eps: added to the
            variance. norm_bias: whether layer norm has a bias (rms never has).
        norm_zero_centered: whether norms multiply by 1 + weight, not by weight (Gemma).
        norm_placement: `post`, norm(x + f(x)), `pre`, x + f(norm(x)) (Xiong et al. 2020), or
            `sandwich`, x + norm(f(norm(x))) (Ding et al. 2021, section 2.4).
        first_attention_norm: False if the first pre-norm block has no norm before its attention,
            because the embeddings have just been normalized (ModernBERT).
        final_norm: whether a norm follows the last block. final_norm_bias: False if it has no bias
            although the other norms have one (ESM-C).
        residual_scale: factor of what each sublayer adds to its input (ESM-C).
        activation, gated: the feed-forward is down(act(up(x))), or, gated (Shazeer 2020),
            down(act(gate(x)) * up(x)). `gelu` is the erf form, `gelu_tanh` its approximation.
        attention_bias, feed_forward_bias: whether those linear maps have biases.
            attention_output_bias: False if the output has none although queries, keys and values
            have them (Qwen2). attention_key_bias: False if keys, and what projects the vectors of
            distances like keys, have none although queries and values have them (DeBERTa v1).
            feed_forward_input_bias: False if up and gate have none although down has one (GTE).
        num_experts, experts_per_token, expert_blocks: in these blocks the feed-forward is a mixture
            of experts (Shazeer et al. 2017, section 2): a router gives each token a probability for
            each of `num_experts` feed-forwards, and the token's output is the sum of the
            `experts_per_token` most probable ones, weighted by these probabilities. 0, 0 and empty
            for none.
        query_key_norm: norm of queries and keys before any rotation, without a bias: of each `head`
            with one gain for all (Henry et al. 2020; Qwen3), of `all_heads` together (ESM-C), or
            `none`.
        attention_scale: factor of the products of queries and keys; None for 1 / sqrt(head width),
            in disentangled attention 1 / sqrt(number of products * head width).
        attention_direction: `both`, or `causal`: a position sees itself and those before it, as in
            embedding models that were decoders (Qwen3-Embedding).
        windows: for each layer, the largest distance that attention reaches (so that a position
            sees 2 * window + 1 positions, or window + 1 if causal), or None for all; empty for all
            in every layer.
        block_of_layer: for each layer, the block whose weights it uses; empty for one block per
            layer (ALBERT shares one block among all layers).
        convolution_kernel_size: number of positions, an odd one, that a convolution beside the
            first layer reads around each position: norm(layer(x) + act(convolution(x))) is then the
            output of that layer (DeBERTa v2's released code); 0 for none.
        convolution_groups: number of equal parts of the channels that it maps apart from each
            other. convolution_activation: act.

    Training:
        dropout: on the embeddings and on the output of each sublayer. attention_dropout: on the
            attention probabilities. Neither changes an encoding.

    Raises:
        ConfigError: naming the field, its value, and the accepted values.
    """

    num_layers: int
    num_heads: int
    d_model: int
    d_ff: int
    head_size: int | None = None
    num_key_value_heads: int | None = None
    max_length: int = 512

    input: Input = "tokens"
    vocab_size: int = 0
    num_channels: int = 0
    num_segments: int = 0
    embedding_size: int | None = None
    embedding_scale: float = 1.0
    embedding_norm: bool = True
    rescaled_mask_token: int | None = None

    position_embedding: PositionEmbedding = "learned"
    attention_positions: AttentionPositions = "none"
    position_offset: int = 0
    position_padding_token: int | None = None
    rotary_base: float = 10_000.0
    rotary_base_local: float | None = None
    rotary_scaling: RotaryScaling = "linear"
    rotary_factor: float = 1.0
    rotary_pair_factors: tuple[float, ...] = ()
    rotary_original_length: int | None = None
    rotary_turns: tuple[float, ...] = (1.0, 32.0)
    rotary_whole_pairs: bool = True
    rotary_magnitude: float = 1.0
    rotary_scales_local: bool = True
    rotary_precision: RotaryPrecision = "exact"
    relative_buckets: int = 32
    relative_max_distance: int = 128
    relative_log_buckets: bool = True
    relative_embedding_norm: bool = False
    content_to_position: bool = True
    position_to_content: bool = True
    shared_position_projections: bool = False

    norm: Norm = "layer"
    norm_eps: float = 1e-12
    norm_bias: bool = True
    norm_zero_centered: bool = False
    norm_placement: NormPlacement = "post"
    first_attention_norm: bool = True
    final_norm: bool = False
    final_norm_bias: bool = True
    residual_scale: float = 1.0
    activation: Activation = "gelu"
    gated: bool = False
    attention_bias: bool = True
    attention_output_bias: bool = True
    attention_key_bias: bool = True
    feed_forward_bias: bool = True
    feed_forward_input_bias: bool = True
    num_experts: int = 0
    experts_per_token: int = 0
    expert_blocks: tuple[int, ...] = ()
    query_key_norm: QueryKeyNorm = "none"
    attention_scale: float | None = None
    attention_direction: AttentionDirection = "both"
    windows: tuple[int | None, ...] = ()
    block_of_layer: tuple[int, ...] = ()
    convolution_kernel_size: int = 0
    convolution_groups: int = 1
    convolution_activation: ConvolutionActivation = "gelu"

    dropout: float = 0.1
    attention_dropout: float = 0.1

    def __post_init__(self) -> None:
        check_config(self)

    @property
    def head_width(self) -> int:
        """Width of one attention head: `head_size`, or `d_model / num_heads`."""
        return self.d_model // self.num_heads if self.head_size is None else self.head_size

    @property
    def key_value_heads(self) -> int:
        """Number of heads of keys and of values: `num_key_value_heads`, or `num_heads`."""
        return self.num_heads if self.num_key_value_heads is None else self.num_key_value_heads

    @property
    def query_width(self) -> int:
        """Width of the queries of all heads, and of what attention mixes for its output map."""
        return self.num_heads * self.head_width

    @property
    def key_value_width(self) -> int:
        """Width of the keys of all heads, and of the values."""
        return self.key_value_heads * self.head_width

    @property
    def score_scale(self) -> float:
        """Factor of the products of queries and keys: `attention_scale`, or its default."""
        if self.attention_scale is not None:
            return self.attention_scale
        match self.attention_positions:
            case "disentangled":  # He et al. 2021, eq. 4
                products = 1 + self.content_to_position + self.position_to_content
            case "rotary" | "relative" | "alibi" | "none":
                products = 1
            case unknown:
                assert_never(unknown)
        return 1 / math.sqrt(products * self.head_width)

    @property
    def embedding_width(self) -> int:
        """Width at which embeddings are summed and normalized, before any projection."""
        return self.d_model if self.embedding_size is None else self.embedding_size

    @property
    def num_blocks(self) -> int:
        """Number of distinct blocks: fewer than the layers where layers share weights."""
        return max(self.block_of_layer) + 1 if self.block_of_layer else self.num_layers

    @property
    def convolution_inputs(self) -> int:
        """Number of inputs of each output of the convolution beside the first layer; 0 without."""
        return self.convolution_kernel_size * (self.d_model // self.convolution_groups)

    @property
    def norm_has_bias(self) -> bool:
        """Whether the norms have a bias beside their gain."""
        match self.norm:
            case "layer":
                return self.norm_bias
            case "rms":
                return False
            case unknown:
                assert_never(unknown)

    @property
    def has_attention_output_bias(self) -> bool:
        """Whether the output map of attention has a bias."""
        return self.attention_bias and self.attention_output_bias

    @property
    def has_attention_key_bias(self) -> bool:
        """Whether the map of keys has a bias, and so that of distances that is like it."""
        return self.attention_bias and self.attention_key_bias

    @property
    def has_feed_forward_input_bias(self) -> bool:
        """Whether the first maps of the feed-forward, up and gate, have biases."""
        return self.feed_forward_bias and self.feed_forward_input_bias

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

    def rotation(self, layer: int) -> Rotation:
        """How the queries and keys of `layer` are rotated by their positions."""
        base = self.rotary_base_of(layer)
        if not self.rotary_scales_local and self.window(layer) is not None:
            return Rotation(plain_frequencies(base, self.head_width), 1.0)
        return rotation(self, base)

    def has_experts(self, block: int) -> bool:
        """Whether the feed-forward of `block` is a mixture of experts."""
        return block in self.expert_blocks

    def has_attention_norm(self, block: int) -> bool:
        """Whether `block` has a norm at its attention (all but ModernBERT's first do)."""
        return block > 0 or self.first_attention_norm

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
            ConfigError: if a field is unknown, missing, or has a wrong value.
        """
        check_field_names(cls, fields)
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in fields.items()
        }
        return cls(**values)

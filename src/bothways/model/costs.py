"""The costs of an encoder: parameters by part, operations per token, and bytes of activations.

D model width, F feed-forward width, X experts, E embedding width, Q and V widths of the queries and
of the values of all heads, L length of a sequence.
"""

import dataclasses
import math
from typing import assert_never

from bothways.model.baselines import AnyConfig, BaselineConfig
from bothways.model.baselines.any_encoder import layout
from bothways.model.baselines.layout import GATES
from bothways.model.config import EncoderConfig

__all__ = [
    "Operations",
    "bytes_per_token",
    "encoding_bytes",
    "operations",
    "parameters_by_part",
]

_SEQUENCE_BYTES = 1400
"""Bytes of Python objects that encoding holds per sequence: its record, tokens and results."""


def parameters_by_part(config: AnyConfig) -> dict[str, int]:
    """Number of parameters of the embedding, attention, feed-forward and norms.

    Blocks that several layers share are counted once. Encoders with a convolution beside the first
    layer have `convolution` as well; baselines have `layers` in place of attention and
    feed-forward.
    """
    parts = {"embedding": 0, "attention": 0, "feed-forward": 0, "norms": 0}
    if isinstance(config, BaselineConfig):
        parts = {"embedding": 0, "layers": 0, "norms": 0}
    elif config.convolution_kernel_size:
        parts["convolution"] = 0
    for name, shape in layout(config).items():
        if name.startswith("embedding."):
            part = "embedding"
        elif "_norm." in name:
            part = "norms"
        elif name.startswith(("relative_bias.", "relative_embedding.")) or ".attention." in name:
            part = "attention"
        elif ".feed_forward." in name:
            part = "feed-forward"
        elif name.startswith("layers.") and ".norm." not in name:
            part = "layers"
        elif name.startswith("convolution."):
            part = "convolution"
        else:
            part = "norms"
        parts[part] += math.prod(shape)
    return parts


@dataclasses.dataclass(frozen=True)
class Operations:
    """Multiply-adds per token of a sequence of L positions.

    fixed: those that do not depend on L.
    per_position: those for each position that a layer attends to: 2 Q, Q for the score and Q for
        the weighted mean (Vaswani et al. 2017, section 3.2.1).
    per_length: those of all layers without a window, divided by L. In causal attention a token
        attends to half of the positions on average.
    windows: for each layer with a window, the number of positions that a token attends to.
    per_distance: those for each vector of distances, Q per product with them (He et al. 2021,
        section 3.1). distances: for each layer, the largest number of such vectors.
    """

    fixed: int
    per_position: int
    per_length: int
    windows: tuple[int, ...]
    per_distance: int = 0
    distances: tuple[int, ...] = ()

    def at(self, length: int) -> int:
        """Average per token of a sequence of `length`, ignoring the ends, where windows are cut."""
        in_windows = sum(min(window, length) for window in self.windows)
        vectors = sum(min(distances, length) for distances in self.distances)
        return (
            self.fixed
            + self.per_length * length
            + self.per_position * in_windows
            + self.per_distance * vectors
        )

    def formula(self) -> str:
        """A formula in L, such as `10,616,832 + 4,608 L`."""
        terms = [f"{self.fixed:,}"]
        if self.per_length:
            terms.append(f"{self.per_length:,} L")
        for window in sorted(set(self.windows)):
            count = self.per_position * self.windows.count(window)
            terms.append(f"{count:,} min(L, {window:,})")
        for vectors in sorted(set(self.distances)):
            count = self.per_distance * self.distances.count(vectors)
            terms.append(f"{count:,} min(L, {vectors:,})")
        return " + ".join(terms)


def operations(config: AnyConfig) -> Operations:
    """Multiply-adds of matrix products; those of norms, activations and softmax are negligible."""
    D = config.d_model
    if isinstance(config, BaselineConfig):  # every matrix except the embedding table
        shapes = {n: s for n, s in layout(config).items() if n != "embedding.token.weight"}
        fixed = sum(math.prod(shape) for shape in shapes.values() if len(shape) > 1)
        return Operations(fixed=fixed, per_position=0, per_length=0, windows=())
    Q, V = config.query_width, config.key_value_width
    feed_forwards = sum(
        _feed_forward_products(config, config.block(layer)) for layer in range(config.num_layers)
    )
    embedding = config.num_channels * config.embedding_width
    if config.embedding_size is not None:
        embedding += config.embedding_size * D
    convolution = config.convolution_inputs * D
    windows = [config.window(layer) for layer in range(config.num_layers)]
    match config.attention_direction:
        case "both":
            directions = 2
        case "causal":
            directions = 1
        case unknown:
            assert_never(unknown)
    per_distance, distances = _distance_products(config)
    return Operations(
        fixed=config.num_layers * 2 * D * (Q + V) + feed_forwards + embedding + convolution,
        per_position=2 * Q,
        per_length=directions * Q * windows.count(None),
        windows=tuple(directions * window + 1 for window in windows if window is not None),
        per_distance=per_distance,
        distances=distances,
    )


def _feed_forward_products(config: EncoderConfig, block: int) -> int:
    """Operations of the feed-forward of a block; of experts, the router's and those of k."""
    D, F, X = config.d_model, config.d_ff, config.num_experts
    if config.has_experts(block):
        return D * X + config.experts_per_token * 2 * D * F
    return (3 if config.gated else 2) * D * F


def _distance_products(config: EncoderConfig) -> tuple[int, tuple[int, ...]]:
    """Operations for each vector of distances, and for each layer the largest number of these."""
    match config.attention_positions:
        case "disentangled":
            products = config.content_to_position + config.position_to_content
            reach = [config.window(layer) for layer in range(config.num_layers)]
            return config.query_width * products, tuple(
                config.relative_buckets if r is None else min(config.relative_buckets, 2 * r + 1)
                for r in reach
            )
        case "rotary" | "relative" | "alibi" | "none":
            return 0, ()
        case unknown:
            assert_never(unknown)


def bytes_per_token(config: AnyConfig, *, kept_layers: int = 0) -> int:
    """Peak bytes of activations per token in a forward pass in fp32.

    A Transformer holds the input of a block, its hidden state, its norm and the sublayer's output
    (4 D), and the larger of attention (queries and what is mixed: 2 Q, keys and values: 2 V) and
    feed-forward (F, 2 F if gated, and F after the activation; of an expert also its inputs, its
    outputs and the sum of all, 3 D). What a convolution adds to the first layer waits beside it
    (D); before, its neighborhoods exist twice. `kept_layers` hidden states of D each are added.
    Fused kernels need less.

    A baseline holds its inputs and outputs, and the intermediate values of a layer: of a recurrent
    layer inputs, gates and states in one direction, for up to twice the number of tokens, because
    of padding; of a convolution the neighborhoods and the hidden layer, twice each.
    """
    D = config.d_model
    if isinstance(config, BaselineConfig):
        within = _baseline_layer_numbers(config)
        return 4 * (2 * (D + config.embedding_width) + within + kept_layers * D)
    F, Q, V = config.d_ff, config.query_width, config.key_value_width
    widest = max(2 * (Q + V), (3 if config.gated else 2) * F)
    if config.expert_blocks:
        widest = max(widest, 2 * F + 3 * D)
    if config.convolution_kernel_size:
        widest = D + max(widest, 2 * config.convolution_kernel_size * D)
    return 4 * (4 * D + widest + kept_layers * D)


def encoding_bytes(num_sequences: int, num_tokens: int, width: int) -> int:
    """Bytes that `encode` holds for sequences of token ids, without the activations of a batch.

    Token ids take 8 bytes each. Vectors of `width` exist twice: as pooled, and as returned.
    """
    return 8 * num_tokens + (_SEQUENCE_BYTES + 2 * 4 * width) * num_sequences


def _baseline_layer_numbers(config: BaselineConfig) -> int:
    """Numbers per token that exist only within a layer."""
    D, E, W = config.d_model, config.embedding_width, config.width
    if config.cell is None:
        return 2 * config.kernel_size * E + 2 * W
    return 2 * (max(D, E) + (GATES[config.cell] + 1) * W)

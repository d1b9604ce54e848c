"""The encoder: the embedding, then the blocks in turn. One sequence in, all hidden states out.

L positions; H heads; D model width.
"""

from typing import NamedTuple

from jaxtyping import Int, Num

from bothways.model.config import EncoderConfig
from bothways.reference.block import encoder_block
from bothways.reference.convolution import convolve
from bothways.reference.embedding import embed
from bothways.reference.layers import Array, Arrays, normalize, under
from bothways.reference.positions import attention_positions


class Encoded(NamedTuple):
    """The hidden states and attention probabilities of one sequence.

    hidden_states: (L, D) of the embeddings and after each layer, `num_layers + 1` of them; the
        final norm, if the encoder has one, is applied to the last.
    probabilities: attention probabilities (H, L, L) of each layer; rows sum to 1.
    """

    hidden_states: tuple[Array, ...]
    probabilities: tuple[Array, ...]


def encode(
    values: Num[Array, "L *C"],
    weights: Arrays,
    config: EncoderConfig,
    segments: Int[Array, "L"] | None = None,
    num_keys: int | None = None,
) -> Encoded:
    """Encode one sequence of token ids (L,) or vectors (L, C) with the weights of `weights.layout`.

    Values, weights and segments are arrays of one library, on one device.
    num_keys: the first positions, which all attend to; the others attend without being attended to,
        as those of query expansion (Khattab and Zaharia 2020, section 3.2). None for all.
    """
    x_LD = embed(values, weights, config, segments)
    blocks = [under(f"blocks.{block}", weights) for block in range(config.num_blocks)]

    added_LD = None
    if config.convolution_kernel_size:
        added_LD = convolve(x_LD, weights, config, num_keys)
    hidden_states, probabilities = [x_LD], []
    for layer in range(config.num_layers):
        positions = attention_positions(weights, config, layer, x_LD.shape[0])
        if num_keys is not None:
            positions = positions.with_keys(num_keys, config.num_heads, like=x_LD)
        x_LD, prob_HLM = encoder_block(x_LD, blocks[config.block(layer)], config, layer, positions)
        if layer == 0 and added_LD is not None:
            x_LD = normalize(x_LD + added_LD, weights, "convolution_norm", config)
        hidden_states.append(x_LD)
        probabilities.append(prob_HLM)
    if config.final_norm:
        hidden_states[-1] = normalize(x_LD, weights, "final_norm", config)
    return Encoded(tuple(hidden_states), tuple(probabilities))

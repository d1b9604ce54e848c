"""The encoder block: attention, then feed-forward, each added to its input and normalized.

L positions; H heads; D model width; F feed-forward width. Vaswani et al. 2017, section 3.1.
"""

from typing import assert_never

from jaxtyping import Float

from bothways.model.config import EncoderConfig
from bothways.reference.attention import self_attention
from bothways.reference.layers import Array, Arrays, activate, linear, normalize
from bothways.reference.positions import NO_POSITIONS, AttentionPositions


def encoder_block(
    x_LD: Float[Array, "L D"],
    w: Arrays,
    config: EncoderConfig,
    layer: int,
    positions: AttentionPositions = NO_POSITIONS,
) -> tuple[Float[Array, "L D"], Float[Array, "H L L"]]:
    """The output of a block with weights `w`, and its attention probabilities."""
    match config.norm_placement:
        case "post":  # Vaswani et al. 2017; BERT
            mixed_LD, prob_HLM = self_attention(x_LD, w, config, layer, positions)
            x_LD = normalize(x_LD + mixed_LD, w, "attention_norm", config)
            return (
                normalize(x_LD + feed_forward(x_LD, w, config), w, "feed_forward_norm", config),
                prob_HLM,
            )
        case "pre":  # Xiong et al. 2020, figure 1b
            normed_LD = x_LD
            if config.has_attention_norm(config.block(layer)):
                normed_LD = normalize(x_LD, w, "attention_norm", config)
            mixed_LD, prob_HLM = self_attention(normed_LD, w, config, layer, positions)
            x_LD = x_LD + mixed_LD
            normed_LD = normalize(x_LD, w, "feed_forward_norm", config)
            return x_LD + feed_forward(normed_LD, w, config), prob_HLM
        case unknown:
            assert_never(unknown)


def feed_forward(
    x_LD: Float[Array, "L D"], w: Arrays, config: EncoderConfig
) -> Float[Array, "L D"]:
    """A two-layer network, applied to each position (Vaswani et al. 2017, section 3.3).

    down(act(up(x))); gated, down(act(gate(x)) · up(x)) (Shazeer 2020, eq. 6).
    """
    up_LF = linear(x_LD, w, "feed_forward.up")
    if config.gated:
        gate_LF = linear(x_LD, w, "feed_forward.gate")
        return linear(activate(gate_LF, config.activation) * up_LF, w, "feed_forward.down")
    return linear(activate(up_LF, config.activation), w, "feed_forward.down")

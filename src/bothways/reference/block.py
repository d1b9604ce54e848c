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
    scale = config.residual_scale
    match config.norm_placement:
        case "post":  # Vaswani et al. 2017; BERT
            mixed_LD, prob_HLM = self_attention(x_LD, w, config, layer, positions)
            x_LD = normalize(x_LD + scale * mixed_LD, w, "attention_norm", config)
            inner_LD = scale * feed_forward(x_LD, w, config)
            return normalize(x_LD + inner_LD, w, "feed_forward_norm", config), prob_HLM
        case "pre":  # Xiong et al. 2020, figure 1b
            normed_LD = x_LD
            if config.has_attention_norm(config.block(layer)):
                normed_LD = normalize(x_LD, w, "attention_norm", config)
            mixed_LD, prob_HLM = self_attention(normed_LD, w, config, layer, positions)
            x_LD = x_LD + scale * mixed_LD
            normed_LD = normalize(x_LD, w, "feed_forward_norm", config)
            return x_LD + scale * feed_forward(normed_LD, w, config), prob_HLM
        case "sandwich":  # Ding et al. 2021, section 2.4
            normed_LD = normalize(x_LD, w, "attention_norm", config)
            mixed_LD, prob_HLM = self_attention(normed_LD, w, config, layer, positions)
            x_LD = x_LD + scale * normalize(mixed_LD, w, "attention_output_norm", config)
            normed_LD = normalize(x_LD, w, "feed_forward_norm", config)
            inner_LD = feed_forward(normed_LD, w, config)
            inner_LD = normalize(inner_LD, w, "feed_forward_output_norm", config)
            return x_LD + scale * inner_LD, prob_HLM
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

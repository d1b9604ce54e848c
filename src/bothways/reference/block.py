"""The encoder block: attention, then feed-forward, each added to its input and normalized.

L positions; H heads; D model width; F feed-forward width; X experts. Vaswani et al. 2017,
section 3.1.
"""

from typing import assert_never

from array_api_compat import array_namespace
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

    down(act(up(x))); gated, down(act(gate(x)) · up(x)) (Shazeer 2020, eq. 6); or experts.
    """
    if "feed_forward.router.weight" in w:
        return mixture_of_experts(x_LD, w, config)
    up_LF = linear(x_LD, w, "feed_forward.up")
    if config.gated:
        gate_LF = linear(x_LD, w, "feed_forward.gate")
        return linear(activate(gate_LF, config.activation) * up_LF, w, "feed_forward.down")
    return linear(activate(up_LF, config.activation), w, "feed_forward.down")


def mixture_of_experts(
    x_LD: Float[Array, "L D"], w: Arrays, config: EncoderConfig
) -> Float[Array, "L D"]:
    """The sum of p · down(act(up(x))) over the experts of a position (Shazeer et al. 2017, eq. 1).

    p is the softmax over all experts; those of the most probable `experts_per_token` are used as
    they are, so that they do not sum to 1 (Fedus et al. 2022, section 2.1), and among equally
    probable experts the first are chosen. The definition computes all experts and multiplies the
    others by 0. No bias but one for the sum.
    """
    xp = array_namespace(x_LD)
    logit_LX = linear(x_LD, w, "feed_forward.router")
    exp_LX = xp.exp(logit_LX - xp.max(logit_LX, axis=-1, keepdims=True))
    p_LX = exp_LX / xp.sum(exp_LX, axis=-1, keepdims=True)
    order_LX = xp.argsort(-p_LX, axis=-1, stable=True)
    rank_LX = xp.argsort(order_LX, axis=-1, stable=True)
    p_LX = xp.where(rank_LX < config.experts_per_token, p_LX, xp.zeros_like(p_LX))
    y_LD = xp.zeros_like(x_LD)
    for expert in range(config.num_experts):
        rows = slice(expert * config.d_ff, (expert + 1) * config.d_ff)
        up_FD, down_FD = (w[f"feed_forward.experts.{name}.weight"][rows] for name in ("up", "down"))
        inner_LF = activate(x_LD @ up_FD.T, config.activation)
        y_LD = y_LD + p_LX[:, expert : expert + 1] * (inner_LF @ down_FD)
    bias_D = w.get("feed_forward.experts.bias")
    return y_LD if bias_D is None else y_LD + bias_D

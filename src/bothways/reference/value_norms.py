"""How long the vectors are that attention adds up, by head and position.

L positions; D model width, H heads of queries, G of keys and values, K head width.
"""

from typing import assert_never

from array_api_compat import array_namespace, device
from jaxtyping import Float

from bothways.model.config import EncoderConfig
from bothways.reference.layers import Array, Arrays, by_head, linear, normalize, under

__all__ = ["value_norms"]


def value_norms(
    x_LD: Float[Array, "L D"], weights: Arrays, config: EncoderConfig, layer: int
) -> Float[Array, "H L"]:
    """‖f(x)‖ for each head and position, where the output of a head is Σ α f(x).

    f(x) = (x Wᵥ + bᵥ) W_O, with the part of W_O that belongs to the head (Kobayashi et al. 2020,
    section 3.1). A probability times this norm says how much a position adds to another.

    x_LD: the input of `layer`. weights: all those of the encoder.
    """
    xp = array_namespace(x_LD)
    block = config.block(layer)
    w = under(f"blocks.{block}", weights)
    match config.norm_placement:
        case "post":
            pass
        case "pre":
            if config.has_attention_norm(block):
                x_LD = normalize(x_LD, w, "attention_norm", config)
        case "sandwich":
            x_LD = normalize(x_LD, w, "attention_norm", config)
        case unknown:
            assert_never(unknown)
    H, G, K = config.num_heads, config.key_value_heads, config.head_width
    v_GLK = by_head(linear(x_LD, w, "attention.value"), G)
    v_HLK = xp.take(v_GLK, xp.arange(H, device=device(x_LD)) // (H // G), axis=0)
    output_HKD = xp.reshape(w["attention.output.weight"].T, (H, K, -1))
    added_HLD = v_HLK @ output_HKD
    return xp.sqrt(xp.sum(added_HLD * added_HLD, axis=-1))

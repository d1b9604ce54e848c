"""The elementary layers: linear maps, norms and activations.

L positions of one sequence; I inputs and O outputs of a linear map; D the width of a norm.
`w` maps the names of `weights.layout`, or those under a prefix, to arrays.
"""

import math
from collections.abc import Mapping
from typing import Any, assert_never

from array_api_compat import array_namespace
from jaxtyping import Float

from bothways.model.activations import AnyActivation
from bothways.model.config import EncoderConfig

Array = Any
"""An array of any library that follows the Python array API standard."""
Arrays = Mapping[str, Array]


def under(prefix: str, w: Arrays) -> dict[str, Array]:
    """The weights whose names begin with `prefix.`, with the prefix removed."""
    return {name[len(prefix) + 1 :]: a for name, a in w.items() if name.startswith(prefix + ".")}


def linear(x_LI: Float[Array, "L I"], w: Arrays, name: str) -> Float[Array, "L O"]:
    """x Wᵀ + b; without b if the weights have no bias of that name."""
    y_LO = x_LI @ w[f"{name}.weight"].T
    bias = w.get(f"{name}.bias")
    return y_LO if bias is None else y_LO + bias


def by_head(x_LQ: Float[Array, "L Q"], num_heads: int) -> Float[Array, "heads L K"]:
    """Vectors side by side as one for each head."""
    xp = array_namespace(x_LQ)
    return xp.permute_dims(xp.reshape(x_LQ, (x_LQ.shape[0], num_heads, -1)), (1, 0, 2))


def normalize(
    x_LD: Float[Array, "*L D"], w: Arrays, name: str, config: EncoderConfig
) -> Float[Array, "*L D"]:
    """Scale each position to unit variance and apply the gains (and bias) called `name`.

    Zero-centered gains are stored less 1.
    """
    if config.norm_zero_centered:
        w = {**w, f"{name}.weight": 1 + w[f"{name}.weight"]}
    match config.norm:
        case "layer":
            return layer_norm(x_LD, w, name, config.norm_eps)
        case "rms":
            return _scale(x_LD, w, name, config.norm_eps)
        case unknown:
            assert_never(unknown)


def layer_norm(
    x_LD: Float[Array, "*L D"], w: Arrays, name: str, eps: float
) -> Float[Array, "*L D"]:
    """(x - mean) / sqrt(variance + eps) * gain + bias    Ba et al. 2016, eq. 4."""
    xp = array_namespace(x_LD)
    return _scale(x_LD - xp.mean(x_LD, axis=-1, keepdims=True), w, name, eps)


def _scale(x_LD: Float[Array, "*L D"], w: Arrays, name: str, eps: float) -> Float[Array, "*L D"]:
    """x / sqrt(mean(x²) + eps) * gain    Zhang and Sennrich 2019, eq. 4."""
    xp = array_namespace(x_LD)
    y_LD = x_LD / xp.sqrt(xp.mean(x_LD * x_LD, axis=-1, keepdims=True) + eps) * w[f"{name}.weight"]
    bias = w.get(f"{name}.bias")
    return y_LD if bias is None else y_LD + bias


def activate(x: Float[Array, "L F"], activation: AnyActivation) -> Float[Array, "L F"]:
    """The nonlinearity of a layer, element by element.

    identity, tanh:  x, tanh(x)
    sigmoid:   σ(x) = 1 / (1 + exp(-x))
    relu:      max(x, 0)                                     Vaswani et al. 2017, eq. 2
    gelu:      x Φ(x) = x (1 + erf(x / √2)) / 2              Hendrycks and Gimpel 2016, section 2
    gelu_tanh: x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2    the same, its approximation
    silu:      x σ(x) = x / (1 + exp(-x))                    the same, section 2 (also called swish)
    """
    xp = array_namespace(x)
    match activation:
        case "identity":
            return x
        case "tanh":
            return xp.tanh(x)
        case "sigmoid":
            return 1 / (1 + xp.exp(-x))
        case "relu":
            return xp.where(x > 0, x, xp.zeros_like(x))
        case "gelu":
            return x * (1 + erf(x / math.sqrt(2))) / 2
        case "gelu_tanh":
            return x * (1 + xp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))) / 2
        case "silu":
            return x / (1 + xp.exp(-x))
        case unknown:
            assert_never(unknown)


def erf(x: Float[Array, "L F"]) -> Float[Array, "L F"]:
    """The error function, which the array API standard lacks, to the precision of the array.

    erf(x) = 2/√π exp(-x²) Σ 2ⁿ x²ⁿ⁺¹ / (1·3·5···(2n+1)), NIST DLMF eq. 7.6.2. All terms have the
    same sign, so nothing cancels. Beyond |x| = 6 the value is 1 in double precision, and 160 terms
    suffice up to there; in single precision, beyond |x| = 4, with 60 terms.
    """
    xp = array_namespace(x)
    limit, terms = (6.0, 160) if xp.finfo(x.dtype).bits > 32 else (4.0, 60)
    x = xp.clip(x, -limit, limit)
    term = x
    total = x
    for n in range(1, terms):
        term = term * (2 * x * x / (2 * n + 1))
        total = total + term
    return 2 / math.sqrt(math.pi) * xp.exp(-x * x) * total

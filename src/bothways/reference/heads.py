"""Heads: from the last hidden states of a sequence to classes, tags, values or tokens.

L positions; D model width; N vectors, of positions or of sequences; I inputs and O outputs of a
layer; V vocabulary size. `w` maps the names of `heads.head_layout` to arrays, and `TIED_WEIGHT` to
the token embedding table if a layer is tied to it.
"""

from typing import assert_never

from array_api_compat import array_namespace
from jaxtyping import Float

from bothways.model.heads import TIED_WEIGHT, Head, HeadLayer, HeadTask
from bothways.model.terms import SPLADE_V2, TermActivation, TermWeighting
from bothways.reference.layers import Array, Arrays, activate, layer_norm, linear
from bothways.reference.pooling import pool


def head_outputs(x_LD: Float[Array, "L D"], w: Arrays, head: Head) -> Float[Array, "... O"]:
    """The outputs of a head for a sequence: (O,) if it pools, (L, O) otherwise."""
    if head.pooling is None:
        return apply_layers(x_LD, w, head)
    if head.pools_outputs:
        return pool(apply_layers(x_LD, w, head), head.pooling)
    pooled_D = pool(x_LD, head.pooling)
    return apply_layers(pooled_D[None, :], w, head)[0, :]


def apply_layers(x_ND: Float[Array, "N D"], w: Arrays, head: Head) -> Float[Array, "N O"]:
    """Apply the layers of a head in turn to each vector: norm(activation(x Wᵀ + b))."""
    for layer in head.layers:
        x_ND = apply_layer(x_ND, w, layer)
    return x_ND


def apply_layer(x_NI: Float[Array, "N I"], w: Arrays, layer: HeadLayer) -> Float[Array, "N O"]:
    """Apply one layer; if it is tied, W is the token embedding table (Press and Wolf 2017)."""
    if layer.tied:
        tied = {"tied.weight": w[TIED_WEIGHT]}
        if layer.bias:
            tied["tied.bias"] = w[f"{layer.name}.bias"]
        y_NO = linear(x_NI, tied, "tied")
    else:
        y_NO = linear(x_NI, w, layer.name)
    y_NO = activate(y_NO, layer.activation)
    return y_NO if layer.norm is None else layer_norm(y_NO, w, layer.norm, layer.norm_eps)


def probabilities(logit_NO: Float[Array, "... O"], task: HeadTask) -> Float[Array, "... O"]:
    """Turn outputs into probabilities, or leave them as values, as the task requires.

    classes, tags, masked_tokens: exp(z) / Σ exp(z)    softmax over the outputs
    multilabel:                   1 / (1 + exp(-z))    sigmoid of each output
    """
    xp = array_namespace(logit_NO)
    match task:
        case "classes" | "tags" | "masked_tokens":
            weight_NO = xp.exp(logit_NO - xp.max(logit_NO, axis=-1, keepdims=True))
            return weight_NO / xp.sum(weight_NO, axis=-1, keepdims=True)
        case "multilabel":
            # By sign, so that no exponential overflows.
            small_NO = xp.exp(-xp.abs(logit_NO))
            return xp.where(logit_NO >= 0, 1 / (1 + small_NO), small_NO / (1 + small_NO))
        case "values" | "masked_values" | "answer_spans":
            return logit_NO
        case unknown:
            assert_never(unknown)


def term_weights(
    logit_LV: Float[Array, "L V"], terms: TermWeighting = SPLADE_V2
) -> Float[Array, "V"]:
    """The weight of each vocabulary token for a text: its activated logits, pooled over positions.

    max: max over positions of f(z)     SPLADE v2 (Formal et al. 2021, "SPLADE v2: Sparse lexical
                                        and expansion model for information retrieval", eq. 6)
    sum: sum over positions of f(z)     SPLADE (Formal et al. 2021, "SPLADE: Sparse lexical and
                                        expansion model for first stage ranking", eq. 4)

    f is `saturate`, which is monotonic, so that it is applied to the maximum.
    """
    xp = array_namespace(logit_LV)
    match terms.pooling:
        case "max":
            return saturate(xp.max(logit_LV, axis=0), terms.activation)
        case "sum":
            return xp.sum(saturate(logit_LV, terms.activation), axis=0)
        case unknown:
            assert_never(unknown)


def saturate(logit: Float[Array, "..."], activation: TermActivation) -> Float[Array, "..."]:
    """The activation of a logit z that weighs a term; 0 where z is at most 0.

    relu:        log(1 + relu(z))
    log1p_relu:  log(1 + log(1 + relu(z)))
    """
    xp = array_namespace(logit)
    weight = xp.log1p(xp.where(logit < 0, xp.zeros_like(logit), logit))  # NaN stays NaN
    match activation:
        case "relu":
            return weight
        case "log1p_relu":
            return xp.log1p(weight)
        case unknown:
            assert_never(unknown)

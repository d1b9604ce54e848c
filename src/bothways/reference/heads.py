"""Heads: from the last hidden states of a sequence to classes, tags, values or tokens.

L positions; D model width; N vectors, of positions or of sequences; I inputs and O outputs of a
layer; V vocabulary. `w` maps the names of `heads.head_layout` to arrays, and the table of token
embeddings to `embedding.token.weight` for a layer that is tied to it.
"""

from typing import assert_never

from array_api_compat import array_namespace
from jaxtyping import Float

from bothways.model.heads import Head, HeadActivation, HeadLayer, HeadTask
from bothways.reference.layers import Array, Arrays, activate, layer_norm, linear
from bothways.reference.pooling import pool


def head_outputs(x_LD: Float[Array, "L D"], w: Arrays, head: Head) -> Float[Array, "... O"]:
    """What a head makes of a sequence: (O,) if it pools, else (L, O) for its positions."""
    if head.pooling is None:
        return apply_layers(x_LD, w, head)
    pooled_D = pool(x_LD, head.pooling)
    return apply_layers(pooled_D[None, :], w, head)[0, :]


def apply_layers(x_ND: Float[Array, "N D"], w: Arrays, head: Head) -> Float[Array, "N O"]:
    """The layers of a head in turn, on each vector by itself: norm(activation(x Wᵀ + b))."""
    for layer in head.layers:
        x_ND = apply_layer(x_ND, w, layer)
    return x_ND


def apply_layer(x_NI: Float[Array, "N I"], w: Arrays, layer: HeadLayer) -> Float[Array, "N O"]:
    """One layer; where it is tied, W is the table of token embeddings (Press and Wolf 2017)."""
    if layer.tied:
        own = {"tied.weight": w["embedding.token.weight"]}
        if layer.bias:
            own["tied.bias"] = w[f"{layer.name}.bias"]
        y_NO = linear(x_NI, own, "tied")
    else:
        y_NO = linear(x_NI, w, layer.name)
    y_NO = _activate(y_NO, layer.activation)
    return y_NO if layer.norm is None else layer_norm(y_NO, w, layer.norm, layer.norm_eps)


def probabilities(logit_NO: Float[Array, "... O"], task: HeadTask) -> Float[Array, "... O"]:
    """What outputs mean: one label of all, each label by itself, or the values that they are.

    classes, tags, masked_tokens: exp(z) / Σ exp(z)    softmax, summing to 1 over the outputs
    multilabel:                   1 / (1 + exp(-z))    sigmoid, each between 0 and 1
    """
    xp = array_namespace(logit_NO)
    match task:
        case "classes" | "tags" | "masked_tokens":
            weight_NO = xp.exp(logit_NO - xp.max(logit_NO, axis=-1, keepdims=True))
            return weight_NO / xp.sum(weight_NO, axis=-1, keepdims=True)
        case "multilabel":
            # By the sign, so that no exponential overflows.
            small_NO = xp.exp(-xp.abs(logit_NO))
            return xp.where(logit_NO >= 0, 1 / (1 + small_NO), small_NO / (1 + small_NO))
        case "values" | "masked_values":
            return logit_NO
        case unknown:
            assert_never(unknown)


def term_weights(logit_LV: Float[Array, "L V"]) -> Float[Array, "V"]:
    """How much each token of the vocabulary says of a text: max over positions of log(1 + relu(z)).

    SPLADE v2 (Formal et al. 2021, "SPLADE v2: Sparse lexical and expansion model for information
    retrieval", eq. 6). The logarithm grows with z, so the largest z of a token decides.
    """
    xp = array_namespace(logit_LV)
    largest_V = xp.max(logit_LV, axis=0)
    return xp.log1p(xp.where(largest_V > 0, largest_V, xp.zeros_like(largest_V)))


def _activate(x_NO: Float[Array, "N O"], activation: HeadActivation) -> Float[Array, "N O"]:
    match activation:
        case "identity":
            return x_NO
        case "tanh":
            return array_namespace(x_NO).tanh(x_NO)
        case "relu" | "gelu" | "gelu_tanh" | "silu":
            return activate(x_NO, activation)
        case unknown:
            assert_never(unknown)

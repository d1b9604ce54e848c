"""From a sequence to vectors: what stands at each position, plus where that is.

L positions; C input channels; E embedding width; D model width. Devlin et al. 2019, figure 2.
"""

from collections.abc import Mapping
from typing import Any, assert_never

from array_api_compat import array_namespace, device
from jaxtyping import Float, Int, Num

from bothways.model.config import MASKED_IN_TRAINING, EncoderConfig
from bothways.reference.layers import Array, Arrays, linear, normalize


def embed(
    values: Num[Array, "L *C"],
    w: Arrays,
    config: EncoderConfig,
    segments: Int[Array, "L"] | None = None,
) -> Float[Array, "L D"]:
    """Embed token ids (L,) or vectors (L, C): input + segment + position, normalized, projected."""
    xp = array_namespace(values)
    match config.input:
        case "tokens":
            x_LE = xp.take(w["embedding.token.weight"], values, axis=0)
            if config.rescaled_mask_token is not None:
                x_LE = rescale_masked(x_LE, values, config.rescaled_mask_token)
        case "vectors":
            x_LE = linear(values, w, "embedding.input")
        case unknown:
            assert_never(unknown)
    L, E = x_LE.shape
    if config.num_segments:
        if segments is None:
            segments = xp.zeros(L, dtype=xp.int64, device=device(values))
        x_LE = x_LE + xp.take(w["embedding.segment.weight"], segments, axis=0)
    if config.has_position_table:
        first = config.position_offset
        x_LE = x_LE + w["embedding.position.weight"][first : first + L, :]
    if config.positions == "sinusoidal":
        x_LE = x_LE + sinusoids(L, E, like=x_LE)
    if config.embedding_norm:
        x_LE = normalize(x_LE, w, "embedding.norm", config)
    if config.embedding_size is not None:
        return linear(x_LE, w, "embedding.projection")
    return x_LE


def sinusoids(num_positions: int, width: int, *, like: Array) -> Float[Array, "L E"]:
    """Fixed positions of wavelengths from 2π to 10000 · 2π (Vaswani et al. 2017, section 3.5).

    PE(p, 2i) = sin(p / 10000^(2i/E)),  PE(p, 2i+1) = cos(p / 10000^(2i/E))
    """
    xp = array_namespace(like)
    kind: Mapping[str, Any] = {"dtype": like.dtype, "device": device(like)}
    position_L1 = xp.arange(num_positions, **kind)[:, None]
    dimension_E = xp.arange(width, **kind)
    even_E = dimension_E - dimension_E % 2
    angle_LE = position_L1 / 10_000.0 ** (even_E / width)
    return xp.where(dimension_E % 2 == 0, xp.sin(angle_LE), xp.cos(angle_LE))


def rescale_masked(
    x_LE: Float[Array, "L E"], ids_L: Int[Array, "L"], mask_token: int
) -> Float[Array, "L E"]:
    """Zero the mask tokens and scale the rest as if as many were masked as in training (ESM-2).

    x · (1 - masked in training) / (1 - masked here); a sequence of mask tokens alone stays zero.
    """
    xp = array_namespace(x_LE)
    kept_L = xp.astype(ids_L != mask_token, x_LE.dtype)
    share_kept = xp.clip(xp.mean(kept_L), 1 / ids_L.shape[0], 1.0)
    return x_LE * kept_L[:, None] * ((1 - MASKED_IN_TRAINING) / share_kept)

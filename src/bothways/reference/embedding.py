"""Embedding: from ids or vectors to the input of the first block.

L positions; C input channels; E embedding width; D model width. Devlin et al. 2019, figure 2.
"""

from typing import assert_never

from array_api_compat import array_namespace, device
from jaxtyping import Float, Int, Num

from bothways.model.config import MASKED_IN_TRAINING, EncoderConfig
from bothways.reference.layers import Array, Arrays, linear, normalize
from bothways.reference.positions import add_positions


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
            x_LE = config.embedding_scale * x_LE
            if config.rescaled_mask_token is not None:
                x_LE = rescale_masked(x_LE, values, config.rescaled_mask_token)
        case "vectors":
            x_LE = linear(values, w, "embedding.input")
        case unknown:
            assert_never(unknown)
    if config.num_segments:
        if segments is None:
            segments = xp.zeros(x_LE.shape[0], dtype=xp.int64, device=device(values))
        x_LE = x_LE + xp.take(w["embedding.segment.weight"], segments, axis=0)
    x_LE = add_positions(x_LE, values, w, config)
    if config.embedding_norm:
        x_LE = normalize(x_LE, w, "embedding.norm", config)
    if config.embedding_size is not None:
        return linear(x_LE, w, "embedding.projection")
    return x_LE


def rescale_masked(
    x_LE: Float[Array, "L E"], ids_L: Int[Array, "L"], mask_token: int
) -> Float[Array, "L E"]:
    """Zero the mask tokens, and scale the rest to the share of masks in training (ESM-2).

    x · (1 - masked in training) / (1 - masked here); a sequence of only mask tokens stays zero.
    """
    xp = array_namespace(x_LE)
    kept_L = xp.astype(ids_L != mask_token, x_LE.dtype)
    share_kept = xp.clip(xp.mean(kept_L), 1 / ids_L.shape[0], 1.0)
    return x_LE * kept_L[:, None] * ((1 - MASKED_IN_TRAINING) / share_kept)

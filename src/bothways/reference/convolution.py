"""A convolution over the positions, beside the first layer (DeBERTa v2's released code).

L positions; D model width; G groups of C = D / G channels; S = kernel size · C inputs of an output.
"""

from array_api_compat import array_namespace, device
from jaxtyping import Float

from bothways.model.config import EncoderConfig
from bothways.reference.layers import Array, Arrays, activate


def convolve(
    x_LD: Float[Array, "L D"], weights: Arrays, config: EncoderConfig, num_keys: int | None = None
) -> Float[Array, "L D"]:
    """act(W x[l - r .. l + r] + b) at each position l, with kernels of 2 r + 1 positions.

    Beyond the ends of the sequence x is 0, and so it is from position `num_keys` on: no position
    sees those. Row o of W has the channels of o's group at each position of the kernel.
    """
    xp = array_namespace(x_LD)
    (L, D), size, groups = x_LD.shape, config.convolution_kernel_size, config.convolution_groups
    if num_keys is not None:
        is_key_L1 = (xp.arange(L, device=device(x_LD)) < num_keys)[:, None]
        x_LD = xp.where(is_key_L1, x_LD, xp.zeros_like(x_LD))
    ends = xp.zeros((size // 2, D), dtype=x_LD.dtype, device=device(x_LD))
    padded = xp.concat((ends, x_LD, ends), axis=0)
    shifted = [xp.reshape(padded[step : step + L, :], (L, groups, -1)) for step in range(size)]
    kernel_GLS = xp.permute_dims(xp.concat(shifted, axis=2), (1, 0, 2))
    weight_GCS = xp.reshape(weights["convolution.weight"], (groups, D // groups, -1))
    mixed_GLC = kernel_GLS @ xp.permute_dims(weight_GCS, (0, 2, 1))
    mixed_LD = xp.reshape(xp.permute_dims(mixed_GLC, (1, 0, 2)), (L, D))
    return activate(mixed_LD + weights["convolution.bias"], config.convolution_activation)

"""Linear maps in int8, as the native engine computes them: the definition of both schemes.

L positions; I inputs and O outputs. Codes are integers; a value is a scale times a code, so that a
product of values is the exact sum of products of codes, times scales.

sums32: the engine adds products of codes in 32 bits, which never overflow.

    weights       one scale per output: -127..127
    activations   one scale and zero point per position and 128 inputs, from the smallest to the
                  largest: 0..255

sums16: the engine adds 16 products in 16 bits, on processors without an instruction for dot
products of bytes. The 16 inputs are those of a group of 32 that have the same k % 4 // 2. By the
inequality of Cauchy and Schwarz, the sum is at most the product of the Euclidean norms of 16 codes
of weights and of 16 codes of activations. Scales are large enough to limit these norms.

    weights       one scale per output: -127..127, with norms of at most 256
    activations   one scale per position and 32 inputs: -63..63, with norms of at most 127.9

Where the inputs have a lower bound that is known in advance, as after an activation function,
it is the value of code 0 in both schemes; codes are then 0..255 in sums32 and 0..127 in sums16.
"""

import dataclasses
from typing import Any, Literal, assert_never

import numpy as np
from jaxtyping import Float

__all__ = ["Codes", "Int8Scheme", "linear_int8", "quantize_activations", "quantize_weights"]

Int8Scheme = Literal["sums32", "sums16"]

_GROUP_OF_SUMS32, _GROUP_OF_SUMS16 = 128, 32

_WEIGHT_NORM, _ACTIVATION_NORM = 254.0, 125.9
"""The largest norms before rounding, which moves the norm of 16 codes by at most 2.

(254 + 2) * (125.9 + 2) < 32767, the largest number of 16 bits."""


@dataclasses.dataclass(frozen=True, eq=False)
class Codes:
    """Rows of numbers as `scale * code + zero_point`, with scale and zero point of each number."""

    code: Float[np.ndarray, "L I"]
    scale: Float[np.ndarray, "L I"]
    zero_point: Float[np.ndarray, "L I"] | float = 0.0

    @property
    def values(self) -> Float[np.ndarray, "L I"]:
        """The numbers that the codes stand for."""
        values: np.ndarray = self.scale * self.code + self.zero_point
        return values


def linear_int8(
    x_LI: Float[np.ndarray, "L I"],
    weight_OI: Float[np.ndarray, "O I"],
    scheme: Int8Scheme,
    lower: float | None = None,
) -> Float[np.ndarray, "L O"]:
    """The product x Wᵀ of quantized activations and quantized weights.

    lower: a lower bound of the inputs that is known in advance; None to measure each group.
    """
    weight_OI = quantize_weights(weight_OI, scheme).values
    product_LO: np.ndarray = quantize_activations(x_LI, scheme, lower).values @ weight_OI.T
    return product_LO


def quantize_weights(weight_OI: Float[np.ndarray, "O I"], scheme: Int8Scheme) -> Codes:
    """Quantize weights with one scale per output."""
    scale_O = np.abs(weight_OI).max(axis=1) / 127
    match scheme:
        case "sums32":
            pass
        case "sums16":
            norm_O = _norms_of_sums(_groups(weight_OI, _GROUP_OF_SUMS16)).max(axis=1)
            scale_O = np.maximum(scale_O, norm_O / _WEIGHT_NORM)
        case unknown:
            assert_never(unknown)
    scale_OI = np.broadcast_to(np.where(scale_O > 0, scale_O, 1)[:, None], weight_OI.shape)
    return Codes(np.round(weight_OI / scale_OI), scale_OI)


def quantize_activations(
    x_LI: Float[np.ndarray, "L I"], scheme: Int8Scheme, lower: float | None = None
) -> Codes:
    """Quantize activations with one scale per position and group of inputs."""
    match scheme:
        case "sums32":
            # Repeating the last input does not change the range of its group.
            x_LGK = _groups(x_LI, _GROUP_OF_SUMS32, mode="edge")
            zero_LG1 = np.min(x_LGK, axis=2, keepdims=True)
            if lower is not None:
                zero_LG1 = np.full_like(zero_LG1, lower)
            scale_LG1 = (x_LGK.max(axis=2, keepdims=True) - zero_LG1) / 255
        case "sums16":
            zero = 0.0 if lower is None else lower
            x_LGK = _groups(x_LI, _GROUP_OF_SUMS16, mode="constant", constant_values=zero)
            zero_LG1 = np.full_like(x_LGK[..., :1], zero)
            largest_LG1 = np.abs(x_LGK - zero_LG1).max(axis=2, keepdims=True)
            scale_LG1 = np.maximum(
                largest_LG1 / (63 if lower is None else 127),
                _norms_of_sums(x_LGK - zero_LG1)[..., None] / _ACTIVATION_NORM,
            )
        case unknown:
            assert_never(unknown)
    size, inputs = x_LGK.shape[2], x_LI.shape[1]
    scale_LI, zero_LI = (
        np.repeat(a_LG1[..., 0], size, axis=1)[:, :inputs]
        for a_LG1 in (np.where(scale_LG1 > 0, scale_LG1, 1), zero_LG1)
    )
    return Codes(np.round((x_LI - zero_LI) / scale_LI), scale_LI, zero_LI)


def _groups(x_LI: np.ndarray, size: int, **padding: Any) -> np.ndarray:
    """Inputs in groups (L, groups, size); the last group is padded, by default with 0."""
    padded = np.pad(x_LI, ((0, 0), (0, -x_LI.shape[1] % size)), **padding)
    return padded.reshape(len(x_LI), -1, size)


def _norms_of_sums(x_LGK: np.ndarray) -> np.ndarray:
    """The larger norm (L, groups) of the two sums of each group."""
    by_sum = x_LGK.reshape(*x_LGK.shape[:2], -1, 2, 2)  # k = 4 a + 2 sum + b
    norms: np.ndarray = np.sqrt((by_sum**2).sum(axis=(2, 4)).max(axis=2))
    return norms

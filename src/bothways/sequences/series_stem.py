"""The fixed stem of a series: patches with values, differences and random convolutions.

A long series has one value per position and channel, which alone says little, and few series do
not suffice to learn filters. So a stem, with nothing that is trained, turns patches of positions
into vectors: the values of the patch and their first and second differences (Nie et al. 2023, "A
time series is worth 64 words", section 3.1, for patches), and for each of many random kernels the
share of the patch's positions at which its output exceeds a bias. The mean of these shares over a
series is the "proportion of positive values" of ROCKET (Dempster et al. 2020, section 3.2), with
the kernels and biases of MiniRocket (Dempster et al. 2021, section 4).

L positions and C channels of a series; P positions per patch; n patches; K kernels; F features.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from bothways.io.json_files import is_number

__all__ = ["Kernel", "Stem"]

_SIZE, _THREES = 9, 3
"""Taps of a kernel, and how many of them weigh 2, where the others weigh -1."""
_TAPS = tuple(itertools.combinations(range(_SIZE), _THREES))
_NUM_KERNELS, _NUM_PATCHES = 256, 32
_SAMPLE = 512
"""Series from which the biases of kernels are drawn."""


class Kernel(NamedTuple):
    """A convolution: the taps that weigh 2, positions between taps, channels that it adds up."""

    taps: tuple[int, ...]
    dilation: int
    channels: tuple[int, ...]
    bias: float

    def output(self, z_LC: np.ndarray) -> np.ndarray:
        """The output at each position, (L,); the ends of the series continue with their values."""
        sum_L = z_LC[:, self.channels].sum(axis=1)
        length, reach = len(sum_L), _SIZE // 2 * self.dilation
        padded = np.pad(sum_L, reach, mode="edge")
        taps = [padded[tap * self.dilation :][:length] for tap in range(_SIZE)]
        output_L: np.ndarray = _THREES * np.sum([taps[tap] for tap in self.taps], axis=0)
        output_L -= np.sum(taps, axis=0)
        return output_L


@dataclasses.dataclass(frozen=True)
class Stem:
    """How standardized series become the vectors of an encoder, one for each patch.

    patch: positions of a patch; the last one of a series may have fewer, and continues with the
        last value. channels: of the series. kernels: the random convolutions.
    mean, std: of each feature in training, by which features are standardized, F numbers each.
    """

    patch: int
    channels: int
    kernels: tuple[Kernel, ...]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """F: values and two differences of each position, how full the patch is, and kernels."""
        return 3 * self.patch * self.channels + 1 + len(self.kernels)

    @classmethod
    def fit(cls, series: Iterable[np.ndarray], num_channels: int) -> Self:
        """Choose patches and kernels for standardized series, without scales of features.

        A series of median length has about 32 patches. The bias of a kernel is a random quantile
        of its outputs for one of the series (Dempster et al. 2021, section 4.1.3).
        """
        rng = np.random.default_rng(0)
        sample: list[np.ndarray] = []
        lengths = []
        for number, each in enumerate(series):  # a uniform sample (Vitter 1985, algorithm R)
            lengths.append(len(each))
            place = number if number < _SAMPLE else int(rng.integers(number + 1))
            if number < _SAMPLE:
                sample.append(each)
            elif place < _SAMPLE:
                sample[place] = each
        length = int(np.median(lengths))
        longest = max((length - 1) // (_SIZE - 1), 1)
        kernels = []
        for number in range(_NUM_KERNELS):
            dilation = int(2 ** rng.uniform(0, np.log2(longest + 1)))
            count = min(int(2 ** rng.uniform(0, np.log2(num_channels + 1))), num_channels)
            chosen = np.sort(rng.choice(num_channels, count, replace=False)).tolist()
            kernel = Kernel(_TAPS[number % len(_TAPS)], min(dilation, longest), tuple(chosen), 0.0)
            output_L = kernel.output(sample[int(rng.integers(len(sample)))])
            bias = float(np.quantile(output_L, rng.uniform(0.1, 0.9)))
            kernels.append(kernel._replace(bias=bias))
        return cls(max(round(length / _NUM_PATCHES), 1), num_channels, tuple(kernels))

    def features(self, z_LC: np.ndarray) -> np.ndarray:
        """The features of a standardized series, not standardized themselves, (n, F)."""
        length = len(z_LC)
        first_LC = np.diff(z_LC, axis=0, prepend=z_LC[:1])
        second_LC = np.diff(first_LC, axis=0, prepend=first_LC[:1])
        above_LK = np.stack([k.output(z_LC) > k.bias for k in self.kernels], axis=1)
        count = -(-length // self.patch)
        is_value_L1 = np.ones((length, 1))
        filled_n1 = self._patches(is_value_L1, repeat_last=False).mean(axis=1)
        return np.concatenate(
            [
                *(self._patches(x).reshape(count, -1) for x in (z_LC, first_LC, second_LC)),
                filled_n1,
                self._patches(above_LK).mean(axis=1),
            ],
            axis=1,
        )

    def apply(self, z_LC: np.ndarray) -> np.ndarray:
        """The vectors of a standardized series, (n, F)."""
        mean_F, std_F = self._scales
        x_nF: np.ndarray = (self.features(z_LC) - mean_F) / std_F
        return x_nF

    def values(self, x_nF: np.ndarray) -> np.ndarray:
        """The inverse of `apply`: the standardized series (L, C) of its vectors."""
        mean_F, std_F = self._scales
        features_nF = x_nF * std_F + mean_F
        size = self.patch * self.channels
        filled = round(float(features_nF[-1, 3 * size]) * self.patch)
        z_LC: np.ndarray = features_nF[:, :size].reshape(-1, self.channels)
        return z_LC[: (len(x_nF) - 1) * self.patch + filled]

    def span(self, number: int, length: int) -> tuple[int, int]:
        """The first and the last position of a patch of a series of this length."""
        return number * self.patch, min((number + 1) * self.patch, length) - 1

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "patch": self.patch,
            "kernels": [list(kernel) for kernel in self.kernels],
            "mean": self.mean,
            "std": self.std,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], num_channels: int) -> Self:
        """The inverse of `to_dict`.

        Raises:
            ValueError: naming the field that is wrong.
        """
        if set(fields) != {"patch", "kernels", "mean", "std"}:
            raise ValueError("expected patch, kernels, mean and std")
        patch = fields["patch"]
        if type(patch) is not int or not 1 <= patch <= _LARGEST:
            raise ValueError(f"patch: expected an integer from 1 to {_LARGEST}")
        kernels = fields["kernels"]
        if not isinstance(kernels, list) or not 1 <= len(kernels) <= _LARGEST:
            raise ValueError("kernels: expected a list")
        stem = cls(patch, num_channels, tuple(_read_kernel(each, num_channels) for each in kernels))
        scales = []
        for name in ("mean", "std"):
            values = fields[name]
            if not isinstance(values, list) or len(values) != stem.width:
                raise ValueError(f"{name}: expected {stem.width} numbers")
            if not all(_is_finite(value) and (name == "mean" or value > 0) for value in values):
                raise ValueError(f"{name}: expected finite numbers")
            scales.append(tuple(float(value) for value in values))
        return dataclasses.replace(stem, mean=scales[0], std=scales[1])

    @functools.cached_property
    def _scales(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the features, (F,) each."""
        return np.array(self.mean), np.array(self.std)

    def _patches(self, x_LF: np.ndarray, *, repeat_last: bool = True) -> np.ndarray:
        """The patches of an array, (n, P, F), the last one filled up with its last row or zeros."""
        missing = -len(x_LF) % self.patch
        filling = np.repeat(x_LF[-1:], missing, axis=0)
        filled = np.concatenate([x_LF, filling if repeat_last else np.zeros_like(filling)])
        return filled.reshape(-1, self.patch, x_LF.shape[1])


_LARGEST = 1_000_000
"""Largest patch, dilation and number of kernels of a file that was read."""


def _read_kernel(fields: Any, num_channels: int) -> Kernel:
    expected = "kernels: expected taps, dilation, channels and bias of each"
    if not isinstance(fields, list) or len(fields) != len(Kernel._fields):
        raise ValueError(expected)
    taps, dilation, channels, bias = fields
    for numbers, limit in ((taps, _SIZE), (channels, num_channels)):
        if not isinstance(numbers, list) or not numbers:
            raise ValueError(expected)
        if not all(type(number) is int and 0 <= number < limit for number in numbers):
            raise ValueError(expected)
    if type(dilation) is not int or not 1 <= dilation <= _LARGEST or not _is_finite(bias):
        raise ValueError(expected)
    if len(taps) != _THREES:
        raise ValueError(expected)
    return Kernel(tuple(taps), dilation, tuple(channels), float(bias))


def _is_finite(value: Any) -> bool:
    return is_number(value) and abs(value) <= float(np.finfo(np.float64).max)

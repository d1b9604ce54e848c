"""Weights that have been checked against a layout."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from bothways.errors import CheckpointError
from bothways.model.layout import Shape

__all__ = ["CheckedWeights", "Weights"]

Weights = Mapping[str, np.ndarray]
"""Arrays by name, not necessarily checked."""


class CheckedWeights(Mapping[str, np.ndarray]):
    """Weights that match a layout: its names and shapes exactly, float32, contiguous and finite.

    The constructor is the check, so nothing that takes a `CheckedWeights` has to check again.
    Arrays that are float32 and contiguous already are not copied: those of a mapped file stay
    views of it. Arrays of other floating-point types are converted.

    layout: name and shape of every weight. source: the file to name in messages.

    Raises:
        CheckpointError: naming the weight that is missing, unexpected, of another shape, not in
            floating point, or not finite.
    """

    def __init__(self, layout: Mapping[str, Shape], arrays: Weights, source: str) -> None:
        if missing := [name for name in layout if name not in arrays]:
            raise CheckpointError(
                f"{source}: weight {missing[0]!r} is missing ({len(missing)} of {len(layout)} are)"
            )
        if unexpected := [name for name in arrays if name not in layout]:
            raise CheckpointError(
                f"{source}: weight {unexpected[0]!r} is unexpected "
                f"({len(unexpected)} are); the config describes a model without it"
            )
        self._arrays = {
            name: _checked(arrays[name], shape, f"{source}: weight {name!r}")
            for name, shape in layout.items()
        }

    @classmethod
    def of(cls, layout: Mapping[str, Shape], arrays: Weights, source: str) -> "CheckedWeights":
        """`arrays` themselves if they have been checked against this layout, else checked now.

        Raises:
            CheckpointError: as the constructor.
        """
        if isinstance(arrays, CheckedWeights) and arrays.layout == dict(layout):
            return arrays
        return cls(layout, arrays, source)

    def __getitem__(self, name: str) -> np.ndarray:
        """The array called `name`."""
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        """The names, in the order of the layout."""
        return iter(self._arrays)

    def __len__(self) -> int:
        """The number of weights."""
        return len(self._arrays)

    @property
    def layout(self) -> dict[str, Shape]:
        """Name and shape of every weight."""
        return {name: array.shape for name, array in self._arrays.items()}

    def select(self, names: Iterable[str]) -> "CheckedWeights":
        """The named weights alone."""
        return self._trusted({name: self._arrays[name] for name in names})

    def with_prefix(self, prefix: str) -> "CheckedWeights":
        """The same weights, with `prefix` before each name."""
        return self._trusted({prefix + name: array for name, array in self._arrays.items()})

    def without_prefix(self, prefix: str) -> "CheckedWeights":
        """The same weights, with `prefix` removed from each name."""
        arrays = self._arrays.items()
        return self._trusted({name.removeprefix(prefix): array for name, array in arrays})

    @classmethod
    def union(cls, *parts: "CheckedWeights") -> "CheckedWeights":
        """All the weights of `parts`, whose names differ."""
        return cls._trusted({name: array for part in parts for name, array in part.items()})

    def copy(self) -> "CheckedWeights":
        """The same weights in memory of their own, so that no mapped file is kept open."""
        return self._trusted({name: array.copy() for name, array in self._arrays.items()})

    @classmethod
    def _trusted(cls, arrays: dict[str, np.ndarray]) -> "CheckedWeights":
        """Arrays that come from checked weights."""
        weights = cls.__new__(cls)
        weights._arrays = arrays
        return weights


def _checked(array: np.ndarray, shape: Shape, place: str) -> np.ndarray:
    if array.shape != shape:
        raise CheckpointError(f"{place} has shape {array.shape}; the config says {shape}")
    if not np.issubdtype(array.dtype, np.floating):
        raise CheckpointError(f"{place} is {array.dtype}, not floating point")
    with np.errstate(over="ignore"):  # what overflows becomes infinite, and is refused below
        array = np.require(array, np.float32, ("C", "A"))
    if not _is_finite(array):
        raise CheckpointError(f"{place} holds NaN or infinity, as float32")
    return array


def _is_finite(array: np.ndarray) -> bool:
    # A sum is NaN or infinite if any term is. In float64, finite float32 terms cannot overflow it.
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(np.sum(array, dtype=np.float64)))

"""Reading numeric series: float arrays (length, channels), standardized as in training.

A model may read patches of positions through a fixed stem instead (`series_stem`).
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from bothways.errors import CheckpointError, InputError
from bothways.io.json_files import is_number, read_object
from bothways.sequences.reader import Description, Tokenized, hint_for, type_name
from bothways.sequences.series_stem import Stem

__all__ = ["SERIES_FILE", "Series", "SeriesReader"]

SERIES_FILE = "series.json"
_FORMAT = "bothways series 1"
_FORMAT_WITH_STEM = "bothways series 2"
_FINITE = "expected a finite number; fill gaps before encoding"


@dataclasses.dataclass(frozen=True)
class Series:
    """The mean and standard deviation of each of C channels, by which series are standardized.

    A value x of a channel reaches the encoder, or the stem, as (x - mean) / std.

    stem: turns standardized series into vectors of patches; None for a vector of values for each
        position.

    Raises:
        InputError: unless there is at least one channel, each with a finite mean and a finite
            standard deviation above 0.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    stem: Stem | None = None

    def __post_init__(self) -> None:
        if not self.mean or len(self.mean) != len(self.std):
            raise InputError(
                f"{len(self.mean)} means and {len(self.std)} standard deviations; "
                "expected one of each for every channel"
            )
        for field, values in (("mean", self.mean), ("std", self.std)):
            for channel, value in enumerate(values):
                if not is_number(value):
                    raise InputError(f"{field}[{channel}] is {type_name(value)}; expected a number")
                finite = abs(value) <= sys.float_info.max  # also for an int of hundreds of digits
                if not finite or (field == "std" and value <= 0):
                    limit = "" if field == "mean" else " above 0"
                    raise InputError(f"{field}[{channel}]={value}: expected a finite number{limit}")

    @property
    def num_channels(self) -> int:
        """C, the number of values at each position."""
        return len(self.mean)

    @property
    def width(self) -> int:
        """Numbers of each vector that reaches the encoder."""
        return self.num_channels if self.stem is None else self.stem.width

    @property
    def patch(self) -> int:
        """Positions that one vector stands for."""
        return 1 if self.stem is None else self.stem.patch

    @classmethod
    def as_is(cls, num_channels: int) -> Self:
        """A standardization that leaves values unchanged."""
        return cls((0.0,) * num_channels, (1.0,) * num_channels)

    @classmethod
    def from_sequences(cls, sequences: Iterable[Any]) -> Self:
        """Compute the mean and standard deviation of each channel over all positions.

        A constant channel gets a standard deviation of 1. One pass over the sequences merges the
        moments of each into those of its predecessors (Chan, Golub and LeVeque 1983, eq. 2.1).

        Raises:
            InputError: if there are no sequences; or names the one that is not a series.
        """
        count, mean_C, squares_C = 0, np.empty(0), np.empty(0)
        for index, sequence in enumerate(sequences):
            x_LC = _check_values(_as_array(sequence, index), len(mean_C) or None, index)
            x_LC = x_LC.astype(np.float64)
            if not count:
                mean_C, squares_C = np.zeros(x_LC.shape[1]), np.zeros(x_LC.shape[1])
            new_mean_C, share = x_LC.mean(axis=0), len(x_LC) / (count + len(x_LC))
            delta_C = new_mean_C - mean_C
            squares_C += ((x_LC - new_mean_C) ** 2).sum(axis=0) + delta_C**2 * (count * share)
            mean_C = mean_C + delta_C * share
            count += len(x_LC)
        if not count:
            raise InputError("no sequences; expected at least one")
        std_C = np.sqrt(squares_C / count)
        return cls(tuple(mean_C.tolist()), tuple(np.where(std_C > 0, std_C, 1.0).tolist()))

    @classmethod
    def with_stem(cls, sequences: Callable[[], Iterable[Any]]) -> Self:
        """`from_sequences`, with a stem for these sequences, which are read three times.

        Raises:
            InputError: as `from_sequences`.
        """
        plain = cls.from_sequences(sequences())
        stem = Stem.fit(map(plain.standardize, sequences()), plain.num_channels)
        features = (stem.features(plain.standardize(each)) for each in sequences())
        scales = cls.from_sequences(features)
        stem = dataclasses.replace(stem, mean=scales.mean, std=scales.std)
        return dataclasses.replace(plain, stem=stem)

    def standardize(self, sequence: Any) -> np.ndarray:
        """A valid series by the mean and standard deviation of its channels, float64 (L, C)."""
        values = np.asarray(sequence, np.float64)
        z_LC: np.ndarray = (values - np.array(self.mean)) / np.array(self.std)
        return z_LC

    def save(self, path: Path) -> None:
        """Write `series.json`."""
        fields: dict[str, Any] = {"format": _FORMAT, "mean": self.mean, "std": self.std}
        if self.stem is not None:
            fields |= {"format": _FORMAT_WITH_STEM, "stem": self.stem.to_dict()}
        path.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read `series.json`.

        Raises:
            CheckpointError: names the file, and the field that is wrong.
        """
        fields = read_object(path)
        format_ = fields.get("format")
        if format_ not in (_FORMAT, _FORMAT_WITH_STEM):
            raise CheckpointError(f"{path}: format={format_!r}; expected {_FORMAT!r}")
        expected = {"format", "mean", "std"} | ({"stem"} if format_ == _FORMAT_WITH_STEM else set())
        if set(fields) != expected:
            names = "format, mean and std" + (", and stem" if "stem" in expected else "")
            raise CheckpointError(f"{path}: fields {sorted(fields)}; expected {names}")
        for name in ("mean", "std"):
            if not isinstance(fields[name], list):
                raise CheckpointError(
                    f"{path}: {name} is {type_name(fields[name])}; expected a list"
                )
        try:
            series = cls(tuple(fields["mean"]), tuple(fields["std"]))
        except InputError as error:
            raise CheckpointError(f"{path}: {error}") from None
        if "stem" not in fields:
            return series
        if not isinstance(fields["stem"], dict):
            raise CheckpointError(
                f"{path}: stem is {type_name(fields['stem'])}; expected an object"
            )
        try:
            stem = Stem.from_dict(fields["stem"], series.num_channels)
        except ValueError as error:
            raise CheckpointError(f"{path}: stem: {error}") from None
        return dataclasses.replace(series, stem=stem)


class SeriesReader:
    """Reads a list of float arrays (length, channels), or one array (n, length, channels)."""

    kind: Literal["series"] = "series"

    def __init__(self, series: Series) -> None:
        self.series = series
        self._mean_C = np.array(series.mean)
        self._std_C = np.array(series.std)

    def read(
        self,
        sequences: Sequence[Any] | np.ndarray,
        *,
        prompt: str = "",
        max_length: int | None = None,
    ) -> list[Tokenized]:
        """Standardize each sequence, as float32 (L, C), whatever the maximum length.

        With a stem, the vectors of patches, (n, F).

        Raises:
            InputError: names the sequence and, if one value is wrong, its position and channel.
        """
        if prompt:
            raise InputError("a prompt is text, but this model reads series; leave it out")
        return [self._read_one(sequence, index) for index, sequence in enumerate(sequences)]

    @property
    def added_ids(self) -> frozenset[int]:
        """Empty, as series have no tokens."""
        return frozenset()

    def prompt_length(self, prompt: str) -> int:
        """Always 0, as series have no prompt."""
        return 0

    def characters_read(self, max_length: int) -> int | None:
        """Always None, as series are no texts."""
        return None

    def save(self, folder: Path) -> None:
        """Write `series.json`."""
        self.series.save(folder / SERIES_FILE)

    def _read_one(self, sequence: Any, index: int) -> Tokenized:
        x_LC = _check_values(_as_array(sequence, index), self.series.num_channels, index)
        with np.errstate(over="ignore"):  # overflow is reported below
            z_LC = (x_LC - self._mean_C) / self._std_C
            values = z_LC.astype(np.float32)
        if not np.isfinite(values).all():
            position, channel = np.argwhere(~np.isfinite(values))[0].tolist()
            raise InputError(
                f"position {position}, channel {channel}: {x_LC[position, channel]} is too large "
                "for float32 once standardized",
                sequence=index,
            )
        stem = self.series.stem
        if stem is not None:
            values = self._apply(stem, z_LC, index)
        return Tokenized(values, describe=partial(_describe, len(x_LC), stem))

    def _apply(self, stem: Stem, z_LC: np.ndarray, index: int) -> np.ndarray:
        with np.errstate(over="ignore"):
            vectors = stem.apply(z_LC).astype(np.float32)
        if not np.isfinite(vectors).all():
            first, last = stem.span(int(np.argwhere(~np.isfinite(vectors))[0, 0]), len(z_LC))
            raise InputError(
                f"positions {first} to {last}: differences are too large for float32 once "
                "standardized",
                sequence=index,
            )
        return vectors


def _as_array(sequence: Any, index: int) -> np.ndarray:
    expected = "expected numbers (length, channels)"
    if not isinstance(sequence, np.ndarray | list | tuple):
        raise InputError(
            f"got {type_name(sequence)}; {expected}{hint_for(sequence)}", sequence=index
        )
    try:
        array = np.asarray(sequence)
    except ValueError:
        raise InputError(f"rows of unequal length; {expected}", sequence=index) from None
    refuse_masked(sequence, index)
    if array.dtype.kind not in "fiu" and array.size:
        raise InputError(f"got {type_name(array)}; {expected}", sequence=index)
    return array


def refuse_masked(sequence: Any, index: int) -> None:
    """Raise if values are masked: the array without its mask has fill values in their place."""
    if isinstance(sequence, list | tuple):
        if not any(np.ma.isMaskedArray(row) for row in sequence):
            return
        sequence = np.ma.array(sequence)
    if not np.ma.isMaskedArray(sequence) or not (mask := np.ma.getmaskarray(sequence)).any():
        return
    position, *channels = np.argwhere(mask)[0].tolist()
    place = f"position {position}" + "".join(f", channel {channel}" for channel in channels)
    raise InputError(f"{place}: masked; {_FINITE}", sequence=index)


def _check_values(x_LC: np.ndarray, num_channels: int | None, index: int) -> np.ndarray:
    """Raise unless the array is finite, not empty, and of shape (length, num_channels)."""
    expected = "channels" if num_channels is None else num_channels
    if len(x_LC.shape) and not len(x_LC):
        raise InputError("a series of length 0; expected at least one position", sequence=index)
    if x_LC.ndim != 2 or x_LC.shape[1] != (num_channels or x_LC.shape[1] or None):
        hint = "; write series[:, None] for a single channel" if x_LC.ndim == 1 else ""
        if x_LC.ndim == 2 and len(x_LC) == num_channels:
            hint = "; the channels seem to come first: transpose it, as in series.T"
        raise InputError(f"shape {x_LC.shape}; expected (length, {expected}){hint}", sequence=index)
    if not np.isfinite(x_LC).all():
        position, channel = np.argwhere(~np.isfinite(x_LC))[0].tolist()
        raise InputError(
            f"position {position}, channel {channel}: {x_LC[position, channel]}; {_FINITE}",
            sequence=index,
        )
    return x_LC


def _describe(length: int, stem: Stem | None) -> Description:
    """Name each position by its number, and each patch by its first and last position."""
    if stem is None or stem.patch == 1:
        return Description([str(position) for position in range(length)], None)
    spans = [stem.span(patch, length) for patch in range(-(-length // stem.patch))]
    return Description([f"{first}-{last}" for first, last in spans], None)

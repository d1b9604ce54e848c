"""Examples in flat arrays, created on access: millions of rows fit in memory.

n examples; P sequences and T tokens of all examples; C channels of a series; K labels, V values.
"""

import array
import dataclasses
from collections.abc import Sequence
from typing import Literal, overload

import numpy as np

from bothways.files.rows import Place
from bothways.sequences.series_stem import Stem
from bothways.training.data.dataset import Dataset, Example, InputSequence

__all__ = ["ExampleWriter", "PackedExamples", "TargetForm"]

TargetForm = Literal["none", "class", "labels", "values", "tags"]
"""The form of a target: none, an index (), 0 or 1 for each label (K,), numbers (V,), or an index
for each position (L,)."""

_DTYPES = {"class": np.int64, "labels": np.float32, "values": np.float32, "tags": np.int64}
"""Types of targets in an `Example`."""


@dataclasses.dataclass(frozen=True, eq=False)
class PackedExamples(Sequence[Example]):
    """Examples by index.

    values: ids, int32 (T,), or vectors, float32 (T, C). sequence_starts: int64 (P + 1,).
    segments: uint8 (T,), or None. example_starts: the first sequence of each, int64 (n + 1,).
    prefix, suffix: number of special tokens before and after the content of each sequence.
    targets: by `form`: int32 (n,), uint8 (n, K), float32 (n, V) or int32 (T,); None for none.
    whole_lengths: positions of each example's whole sequence, int32 (n,), and 0 for an example
        that is not in windows; None if none is.
    stem: what made vectors of patches from series; None if positions are as they are in the data.
    files: names. file_of, rows, lines: the place of each example, int32 (n,); line 0 for none.
    """

    values: np.ndarray
    sequence_starts: np.ndarray
    segments: np.ndarray | None
    example_starts: np.ndarray
    prefix: int
    suffix: int
    form: TargetForm
    targets: np.ndarray | None
    files: Sequence[str]
    file_of: np.ndarray
    rows: np.ndarray
    lines: np.ndarray
    whole_lengths: np.ndarray | None = None
    stem: Stem | None = None

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"example {index} of {len(self)}")
        index = range(len(self))[index]
        first, last = int(self.example_starts[index]), int(self.example_starts[index + 1])
        sequences = tuple(self._sequence(index) for index in range(first, last))
        whole = 0 if self.whole_lengths is None else int(self.whole_lengths[index])
        return Example(sequences, self._target(index), str(self.place(index)), whole or None)

    def place(self, index: int) -> Place:
        """The row that an example comes from."""
        line = int(self.lines[index])
        return Place(self.files[self.file_of[index]], int(self.rows[index]), line or None)

    def to_dataset(self) -> Dataset:
        """The examples with their lengths."""
        return Dataset(self, np.diff(self.sequence_starts[self.example_starts]))

    def select(self, indices: np.ndarray) -> "PackedExamples":
        """Some of the examples, in the order of the indices."""
        sequences, example_starts = _ranges(self.example_starts, indices)
        positions, sequence_starts = _ranges(self.sequence_starts, sequences)
        targets = self.targets
        if targets is not None:
            targets = targets[positions if self.form == "tags" else indices]
        return dataclasses.replace(
            self,
            values=self.values[positions],
            sequence_starts=sequence_starts,
            segments=None if self.segments is None else self.segments[positions],
            example_starts=example_starts,
            targets=targets,
            file_of=self.file_of[indices],
            rows=self.rows[indices],
            lines=self.lines[indices],
            whole_lengths=None if self.whole_lengths is None else self.whole_lengths[indices],
        )

    def _sequence(self, index: int) -> InputSequence:
        span = self._span(index)
        values = self.values[span]
        # Encoders expect int64; int32 saves memory.
        values = values.astype(np.int64) if values.ndim == 1 else values
        segments = None if self.segments is None else self.segments[span].astype(np.int64)
        return InputSequence(values, segments, slice(self.prefix, len(values) - self.suffix))

    def _span(self, sequence: int) -> slice:
        return slice(int(self.sequence_starts[sequence]), int(self.sequence_starts[sequence + 1]))

    def _target(self, index: int) -> np.ndarray | None:
        if self.targets is None or self.form == "none":
            return None
        at = self._span(int(self.example_starts[index])) if self.form == "tags" else index
        return np.asarray(self.targets[at], dtype=_DTYPES[self.form])


def _ranges(starts: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The items of some ranges end to end, and where each of these starts.

    starts: the first item of each range, and the number of all items. indices: of the ranges.
    """
    lengths = np.diff(starts)[indices]
    new_starts = np.concatenate([[0], np.cumsum(lengths)])
    within = np.arange(new_starts[-1]) - np.repeat(new_starts[:-1], lengths)
    return np.repeat(starts[indices], lengths) + within, new_starts


class ExampleWriter:
    """Appends examples to flat arrays.

    files: the file names of places. prefix, suffix: number of special tokens around each sequence.
    channels: numbers at each position of a series; 0 for ids.
    num_targets: numbers in each target of the form `labels` or `values`.
    stem: as in `PackedExamples`.
    """

    def __init__(
        self,
        form: TargetForm,
        files: Sequence[str],
        *,
        prefix: int,
        suffix: int,
        channels: int = 0,
        num_targets: int = 1,
        stem: Stem | None = None,
    ) -> None:
        self._stem = stem
        self._form, self._files = form, files
        self._file_number = {name: number for number, name in enumerate(files)}
        self._prefix, self._suffix = prefix, suffix
        self._channels, self._num_targets = channels, num_targets
        self._values = bytearray()
        self._segments = bytearray()
        self._targets = bytearray()
        self._sequence_ends = array.array("q", [0])
        self._example_ends = array.array("q", [0])
        self._places = array.array("i")
        self._whole_lengths = array.array("i")

    def add(
        self,
        sequences: Sequence[np.ndarray],
        segments: np.ndarray | None,
        target: np.ndarray | None,
        place: Place,
        whole_length: int = 0,
    ) -> None:
        """Add an example.

        sequences: ids (L,) or vectors (L, C). segments: of a pair of texts read as one sequence.
        whole_length: positions of the sequence that the sequences are windows of; 0 for none.
        """
        stored = np.float32 if self._channels else np.int32
        for values in sequences:
            self._values += np.ascontiguousarray(values, dtype=stored).tobytes()
            self._sequence_ends.append(self._sequence_ends[-1] + len(values))
        if segments is not None:
            self._segments += segments.astype(np.uint8).tobytes()
        if target is not None:
            self._targets += target.astype(self._stored_target).tobytes()
        self._example_ends.append(len(self._sequence_ends) - 1)
        self._whole_lengths.append(whole_length)
        self._places.extend((self._file_number[place.file], place.row, place.line or 0))

    def __len__(self) -> int:
        """Number of examples so far."""
        return len(self._example_ends) - 1

    def finish(self) -> PackedExamples:
        """The examples, as views of the written memory."""
        values = np.frombuffer(self._values, np.float32 if self._channels else np.int32)
        places = np.frombuffer(self._places, np.intc).reshape(-1, 3)
        return PackedExamples(
            values=values.reshape(-1, self._channels) if self._channels else values,
            sequence_starts=np.frombuffer(self._sequence_ends, np.int64),
            segments=np.frombuffer(self._segments, np.uint8) if self._segments else None,
            example_starts=np.frombuffer(self._example_ends, np.int64),
            prefix=self._prefix,
            suffix=self._suffix,
            form=self._form,
            targets=self._finished_targets(),
            files=self._files,
            file_of=places[:, 0],
            rows=places[:, 1],
            lines=places[:, 2],
            whole_lengths=(
                np.frombuffer(self._whole_lengths, np.intc) if any(self._whole_lengths) else None
            ),
            stem=self._stem,
        )

    @property
    def _stored_target(self) -> type[np.generic]:
        match self._form:
            case "labels":
                return np.uint8
            case "values":
                return np.float32
            case _:
                return np.int32

    def _finished_targets(self) -> np.ndarray | None:
        if self._form == "none":
            return None
        targets = np.frombuffer(self._targets, self._stored_target)
        if self._form in ("class", "tags"):
            return targets
        return targets.reshape(-1, self._num_targets)

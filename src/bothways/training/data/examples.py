"""Examples in flat arrays, made one by one when asked for: millions of lines fit in memory.

n examples of P pieces of T tokens in all; C channels of a series; K labels, V values.
"""

import array
import dataclasses
from collections.abc import Sequence
from typing import Literal, overload

import numpy as np

from bothways.files.rows import Place
from bothways.training.data.dataset import Dataset, Example, InputSequence

__all__ = ["ExampleWriter", "PackedExamples", "TargetForm"]

TargetForm = Literal["none", "class", "labels", "values", "tags"]
"""What a target is: nothing, an index (), 0 or 1 for each label (K,), numbers (V,), or an index for
each position (L,)."""

_DTYPES = {"class": np.int64, "labels": np.float32, "values": np.float32, "tags": np.int64}
"""Of a target in an `Example`."""


@dataclasses.dataclass(frozen=True, eq=False)
class PackedExamples(Sequence[Example]):
    """Examples by index.

    values: ids, int32 (T,), or vectors, float32 (T, C). piece_starts: int64 (P + 1,).
    segments: uint8 (T,), or None. example_starts: the first piece of each, int64 (n + 1,).
    prefix, suffix: special tokens before and after the content of every piece.
    targets: by `form`: int32 (n,), uint8 (n, K), float32 (n, V) or int32 (T,); None for none.
    files: names. file_of, rows, lines: of each example's place, int32 (n,); line 0 for none.
    """

    values: np.ndarray
    piece_starts: np.ndarray
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

    def __len__(self) -> int:
        """How many examples there are."""
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
        pieces = tuple(self._piece(piece) for piece in range(first, last))
        return Example(pieces, self._target(index), str(self.place(index)))

    def place(self, index: int) -> Place:
        """Where an example stands."""
        line = int(self.lines[index])
        return Place(self.files[self.file_of[index]], int(self.rows[index]), line or None)

    def to_dataset(self) -> Dataset:
        """The examples with their lengths."""
        return Dataset(self, np.diff(self.piece_starts[self.example_starts]))

    def _piece(self, piece: int) -> InputSequence:
        span = self._span(piece)
        values = self.values[span]
        # What an encoder takes; kept smaller.
        values = values.astype(np.int64) if values.ndim == 1 else values
        segments = None if self.segments is None else self.segments[span].astype(np.int64)
        return InputSequence(values, segments, slice(self.prefix, len(values) - self.suffix))

    def _span(self, piece: int) -> slice:
        return slice(int(self.piece_starts[piece]), int(self.piece_starts[piece + 1]))

    def _target(self, index: int) -> np.ndarray | None:
        if self.targets is None or self.form == "none":
            return None
        at = self._span(int(self.example_starts[index])) if self.form == "tags" else index
        return np.asarray(self.targets[at], dtype=_DTYPES[self.form])


class ExampleWriter:
    """Lays examples end to end.

    files: the names that places have. prefix, suffix: special tokens around every piece's content.
    channels: numbers at each position of a series; 0 for ids.
    num_targets: numbers of each target of the form `labels` or `values`.
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
    ) -> None:
        self._form, self._files = form, files
        self._file_number = {name: number for number, name in enumerate(files)}
        self._prefix, self._suffix = prefix, suffix
        self._channels, self._num_targets = channels, num_targets
        self._values = bytearray()
        self._segments = bytearray()
        self._targets = bytearray()
        self._piece_ends = array.array("q", [0])
        self._example_ends = array.array("q", [0])
        self._places = array.array("i")

    def add(
        self,
        pieces: Sequence[np.ndarray],
        segments: np.ndarray | None,
        target: np.ndarray | None,
        place: Place,
    ) -> None:
        """Add an example.

        pieces: ids (L,) or vectors (L, C). segments: of the only piece of a pair read as one.
        """
        stored = np.float32 if self._channels else np.int32
        for piece in pieces:
            self._values += np.ascontiguousarray(piece, dtype=stored).tobytes()
            self._piece_ends.append(self._piece_ends[-1] + len(piece))
        if segments is not None:
            self._segments += segments.astype(np.uint8).tobytes()
        if target is not None:
            self._targets += target.astype(self._stored_target).tobytes()
        self._example_ends.append(len(self._piece_ends) - 1)
        self._places.extend((self._file_number[place.file], place.row, place.line or 0))

    def __len__(self) -> int:
        """How many examples there are so far."""
        return len(self._example_ends) - 1

    def finish(self) -> PackedExamples:
        """The examples, on the memory that was written."""
        values = np.frombuffer(self._values, np.float32 if self._channels else np.int32)
        places = np.frombuffer(self._places, np.intc).reshape(-1, 3)
        return PackedExamples(
            values=values.reshape(-1, self._channels) if self._channels else values,
            piece_starts=np.frombuffer(self._piece_ends, np.int64),
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

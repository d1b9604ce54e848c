"""Reading a column of vectors from Parquet without decoding it.

`bothways encode` writes vectors as plain float32 or float16: each data page ends with the numbers
of its rows, as they are in memory. Reading them is several times faster than pyarrow's decoding of
nested columns, which builds the levels of every number.

Page headers are Thrift structs in the compact protocol (Apache Parquet, parquet.thrift; Apache
Thrift, thrift-compact-protocol.md).
"""

import dataclasses
import mmap
from collections.abc import Iterator
from functools import cached_property
from io import FileIO
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    import pyarrow.parquet as pq

__all__ = ["PLAIN_DTYPES", "PlainPages", "find_plain_pages"]

PLAIN_DTYPES = {"f32": "<f4", "f16": "<f2"}
"""The type of the numbers of a column whose vectors are stored in this form."""

_PHYSICAL_TYPES = {"<f4": "FLOAT", "<f2": "FIXED_LEN_BYTE_ARRAY"}

_HEADER_BYTES = 4096
"""More than a page header without statistics takes."""

_PLAIN = 0
"""The encoding of numbers as they are in memory."""

_BOOLEANS, _INTEGERS, _DOUBLE, _BINARY, _LISTS, _STRUCT = (1, 2), (3, 4, 5, 6), 7, 8, (9, 10), 12


@dataclasses.dataclass(frozen=True)
class PlainPages:
    """The numbers of a column: their places in the file, as (offset in bytes, count), and type."""

    pages: list[tuple[int, int]]
    dtype: str = "<f4"

    def read(self, file: FileIO, dimensions: int, rows: int) -> Iterator[np.ndarray]:
        """Yield vectors (up to `rows`, dimensions) of `dtype` in order.

        Raises:
            EOFError: if the file is shorter than when its pages were found.
        """
        batch = np.empty((rows, dimensions), self.dtype)
        item = batch.itemsize
        numbers, filled = batch.reshape(-1), 0
        for page_offset, page_count in self.pages:
            offset, remaining = page_offset, page_count
            while remaining:
                count = min(remaining, len(numbers) - filled)
                file.seek(offset)
                if file.readinto(numbers[filled : filled + count].data) != item * count:
                    raise EOFError("the file is shorter than its metadata says")
                offset, remaining, filled = offset + item * count, remaining - count, filled + count
                if filled == len(numbers):
                    yield batch
                    batch = np.empty((rows, dimensions), self.dtype)
                    numbers, filled = batch.reshape(-1), 0
        if filled:
            yield batch[: filled // dimensions]

    def read_rows(self, file: FileIO, dimensions: int, rows: np.ndarray) -> np.ndarray:
        """The vectors (n, dimensions) of `dtype` of `rows` (n,), which must exist.

        Raises:
            EOFError: if the file is shorter than when its pages were found.
        """
        vectors = np.empty((len(rows), dimensions), self.dtype)
        if not len(rows):
            return vectors
        firsts = rows * dimensions
        pages = np.searchsorted(self._ends, firsts, side="right")
        offsets = self._offsets[pages] + vectors.itemsize * (firsts - self._starts[pages])
        is_whole = firsts + dimensions <= self._ends[pages]
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            vectors[is_whole] = _gather(data, offsets[is_whole], vectors.dtype, dimensions)
            for index in np.flatnonzero(~is_whole).tolist():
                self._join(data, vectors[index], int(firsts[index]), int(pages[index]))
        return vectors

    def _join(self, data: mmap.mmap, vector: np.ndarray, first: int, page: int) -> None:
        """Read a vector whose numbers, from `first` on, are in several pages."""
        filled = 0
        while filled < len(vector):
            offset, count = self.pages[page]
            skipped = first + filled - int(self._starts[page])
            part = vector[filled : filled + count - skipped]
            start = np.array([offset + vector.itemsize * skipped])
            part[:] = _gather(data, start, vector.dtype, len(part))[0]
            filled, page = filled + len(part), page + 1

    @cached_property
    def _ends(self) -> np.ndarray:
        """The count of numbers up to the end of each page."""
        return np.cumsum([count for _, count in self.pages])

    @cached_property
    def _starts(self) -> np.ndarray:
        """The count of numbers before each page."""
        return np.concatenate([[0], self._ends[:-1]])

    @cached_property
    def _offsets(self) -> np.ndarray:
        return np.array([offset for offset, _ in self.pages])


def _gather(data: mmap.mmap, offsets: np.ndarray, dtype: np.dtype[Any], count: int) -> np.ndarray:
    """`count` numbers from each of the offsets in bytes, (n, count).

    Raises:
        EOFError: if the data are shorter.
    """
    size = dtype.itemsize * count
    if len(offsets) and (offsets.min() < 0 or offsets.max() + size > len(data)):
        raise EOFError("the file is shorter than its metadata says")
    # Every place in the file is an item, so that NumPy copies those at the offsets.
    places = np.ndarray((max(0, len(data) - size + 1),), f"V{size}", data, strides=(1,))
    gathered: np.ndarray = places[offsets].view(dtype).reshape(-1, count)
    return gathered


def find_plain_pages(
    file: BinaryIO, metadata: "pq.FileMetaData", column: int, dimensions: int, dtype: str = "<f4"
) -> PlainPages | None:
    """The pages of a column of lists of `dimensions` numbers; None if they must be decoded.

    The caller knows from the schema that all lists have this length. Pages must be decoded if they
    are compressed, or have a dictionary or nulls.
    """
    pages: list[tuple[int, int]] = []
    for group in range(metadata.num_row_groups):
        rows, chunk = metadata.row_group(group).num_rows, metadata.row_group(group).column(column)
        if chunk.physical_type != _PHYSICAL_TYPES[dtype] or chunk.compression != "UNCOMPRESSED":
            return None
        if chunk.has_dictionary_page or chunk.num_values != rows * dimensions:
            return None
        offset, remaining = chunk.data_page_offset, chunk.num_values
        end = offset + chunk.total_compressed_size
        while remaining > 0:
            page = (
                _find_numbers(file, offset, np.dtype(dtype).itemsize) if 0 < offset < end else None
            )
            if page is None:
                return None
            start, count, offset = page
            pages.append((start, count))
            remaining -= count
        if remaining:
            return None
    return PlainPages(pages, dtype)


def _find_numbers(file: BinaryIO, offset: int, item: int) -> tuple[int, int, int] | None:
    """The place of a page's numbers of `item` bytes, their count, and that of the next page."""
    file.seek(offset)
    header = _CompactReader(file.read(_HEADER_BYTES))
    try:
        fields = header.read_struct()
        size = fields[3]
        start = offset + header.position
        match fields[1]:
            case 0:  # DATA_PAGE
                page = fields[5]
                count, encoding = page[1], page[2]
                levels = _levels_size(file, start)
            case 3:  # DATA_PAGE_V2
                page = fields[8]
                count, encoding = page[1], page[4]
                levels = page[5] + page[6]
            case _:
                return None
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    # A null or an empty list has a level and no number.
    if encoding != _PLAIN or count <= 0 or size != levels + item * count:
        return None
    return start + levels, count, start + size


def _levels_size(file: BinaryIO, start: int) -> int:
    """The bytes of the repetition and definition levels, each with its length before it."""
    size = 0
    for _ in range(2):
        file.seek(start + size)
        size += 4 + int.from_bytes(file.read(4), "little")
    return size


class _CompactReader:
    """Reads a Thrift struct; values that are no numbers or structs are skipped."""

    def __init__(self, data: bytes) -> None:
        self._data, self.position = data, 0

    def read_struct(self, depth: int = 0) -> dict[int, Any]:
        """The fields by their id.

        Raises:
            IndexError: if the data end before the struct does.
            ValueError: if it is malformed.
        """
        if depth > 4:
            raise ValueError("structs are nested too deeply")
        fields: dict[int, Any] = {}
        field = 0
        while byte := self._byte():
            field = field + (byte >> 4) if byte >> 4 else self._integer()
            fields[field] = self._value(byte & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _BOOLEANS:
            return kind == 1
        if kind in _INTEGERS:
            return self._byte() if kind == 3 else self._integer()
        if kind == _DOUBLE:
            return self._skip(8)
        if kind == _BINARY:
            return self._skip(self._unsigned())
        if kind in _LISTS:
            byte = self._byte()
            length = self._unsigned() if byte >> 4 == 15 else byte >> 4
            if length > len(self._data):
                raise ValueError(f"a list of {length}")
            return [self._value(byte & 15, depth) for _ in range(length)]
        if kind == _STRUCT:
            return self.read_struct(depth + 1)
        raise ValueError(f"Thrift type {kind}")

    def _skip(self, count: int) -> None:
        self.position += count

    def _byte(self) -> int:
        self.position += 1
        return self._data[self.position - 1]

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def _integer(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)

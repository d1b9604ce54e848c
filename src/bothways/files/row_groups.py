"""Parquet output in row groups of about 8 MiB, so that memory is bounded by one row group."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from bothways.files.kept_cells import NO_CELLS, KeptCells, KeptTypes
from bothways.files.sink import Sink

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["RowGroupWriter"]

_ROW_GROUP_BYTES = 1 << 23


class RowGroupWriter:
    """Collects record batches and writes them as row groups.

    schema: of the columns before those that are copied from the input.
    kept_types: of the copied columns; by default, the first rows determine them.
    row_bytes: size of a row without its texts. If it is given, the bytes of the file depend on the
        rows alone, and not on the batches in which they are written.
    options: of `pyarrow.parquet.ParquetWriter`.
    """

    def __init__(
        self,
        sink: Sink,
        schema: "pa.Schema",
        kept_types: KeptTypes | None = None,
        row_bytes: int | None = None,
        **options: Any,
    ) -> None:
        self.schema, self._kept_types = schema, kept_types
        self._sink, self._options = sink, options
        self._started: tuple[pq.ParquetWriter, pa.Schema, KeptTypes] | None = None
        self._pending: list[pa.RecordBatch] = []
        self._row_bytes, self._size = row_bytes, 0

    def write(self, columns: "list[pa.Array[Any]]", kept: KeptCells) -> None:
        """Add rows, given as one array per field of the schema, and copied cells.

        Raises:
            DataFileError: if a copied cell is not of the type of its column.
        """
        import pyarrow as pa

        _, schema, types = self._start(kept)
        batch = pa.RecordBatch.from_arrays([*columns, *types.arrays(kept)], schema=schema)
        start = 0
        for end in self._ends(batch):
            self._pending.append(batch.slice(start, end - start))
            self._flush()
            start = end
        if start < batch.num_rows:
            self._pending.append(batch.slice(start))

    def finish(self) -> None:
        """Write the last row group and the footer."""
        writer, _, _ = self._start(NO_CELLS)
        self._flush()
        writer.close()

    def _start(self, kept: KeptCells) -> "tuple[pq.ParquetWriter, pa.Schema, KeptTypes]":
        """Start the file with the first rows, which determine the types of the copied columns."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._started is None:
            types = self._kept_types or KeptTypes(kept)
            schema = pa.schema([*self.schema, *types.fields]).with_metadata(self.schema.metadata)
            file = pa.PythonFile(self._sink, mode="w")
            self._started = pq.ParquetWriter(file, schema, **self._options), schema, types
        return self._started

    def _ends(self, batch: "pa.RecordBatch") -> Iterator[int]:
        """The rows of a batch after which a row group is full."""
        if self._row_bytes is None:
            self._size += batch.nbytes
            if self._size >= _ROW_GROUP_BYTES:
                self._size = 0
                yield batch.num_rows
            return
        for row, size in enumerate(_row_sizes(batch, self._row_bytes), 1):
            self._size += size
            if self._size >= _ROW_GROUP_BYTES:
                self._size = 0
                yield row

    def _flush(self) -> None:
        import pyarrow as pa

        pending, self._pending = self._pending, []
        if pending and self._started is not None:
            # Pages begin anew with each chunk of a column.
            self._started[0].write_table(pa.Table.from_batches(pending).combine_chunks())


def _row_sizes(batch: "pa.RecordBatch", row_bytes: int) -> list[int]:
    """The size of each row: `row_bytes` and its texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    sizes = np.full(batch.num_rows, row_bytes, np.int64)
    for column in batch.columns:
        if pa.types.is_string(column.type):
            texts: Any = column
            sizes += pc.binary_length(texts).fill_null(0).to_numpy(zero_copy_only=False)
    return [int(size) for size in sizes]

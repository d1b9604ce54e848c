"""Parquet output in row groups of about 8 MiB, so that memory is bounded by one row group."""

from typing import TYPE_CHECKING, Any

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
    options: of `pyarrow.parquet.ParquetWriter`.
    """

    def __init__(
        self,
        sink: Sink,
        schema: "pa.Schema",
        kept_types: KeptTypes | None = None,
        **options: Any,
    ) -> None:
        self.schema, self._kept_types = schema, kept_types
        self._sink, self._options = sink, options
        self._started: tuple[pq.ParquetWriter, pa.Schema, KeptTypes] | None = None
        self._pending: list[pa.RecordBatch] = []

    def write(self, columns: "list[pa.Array[Any]]", kept: KeptCells) -> None:
        """Add rows, given as one array per field of the schema, and copied cells.

        Raises:
            DataFileError: if a copied cell is not of the type of its column.
        """
        import pyarrow as pa

        _, schema, types = self._start(kept)
        self._pending.append(
            pa.RecordBatch.from_arrays([*columns, *types.arrays(kept)], schema=schema)
        )
        if sum(batch.nbytes for batch in self._pending) >= _ROW_GROUP_BYTES:
            self._flush()

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

    def _flush(self) -> None:
        import pyarrow as pa

        pending, self._pending = self._pending, []
        if pending and self._started is not None:
            self._started[0].write_table(pa.Table.from_batches(pending))

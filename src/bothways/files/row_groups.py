"""Parquet output in row groups of about 8 MiB, so that memory is bounded by one row group."""

from typing import TYPE_CHECKING, Any

from bothways.files.sink import Sink

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["RowGroupWriter"]

_ROW_GROUP_BYTES = 1 << 23


class RowGroupWriter:
    """Collects record batches and writes them as row groups.

    options: of `pyarrow.parquet.ParquetWriter`.
    """

    def __init__(self, sink: Sink, schema: "pa.Schema", **options: Any) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.schema = schema
        self._writer = pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, **options)
        self._pending: list[pa.RecordBatch] = []

    def write(self, columns: "list[pa.Array[Any]]") -> None:
        """Add rows, given as one array per field of the schema."""
        import pyarrow as pa

        self._pending.append(pa.RecordBatch.from_arrays(columns, schema=self.schema))
        if sum(batch.nbytes for batch in self._pending) >= _ROW_GROUP_BYTES:
            self._flush()

    def finish(self) -> None:
        """Write the last row group and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        pending, self._pending = self._pending, []
        if pending:
            self._writer.write_table(pa.Table.from_batches(pending))

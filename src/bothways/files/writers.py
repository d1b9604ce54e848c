"""Writers of vectors, a part at a time.

.parquet  columns id, text, vector, num_tokens, num_unknown, truncated; the origin in the schema's
          metadata
.npy      the vectors alone, float32 (n, d); origin and number of rows in NAME.npy.json beside it
.jsonl    one object a row: id, text, vector, num_tokens, num_unknown, truncated, origin. The
          origin is in every row, so that rows keep it when files are cut, joined or piped.
"""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import numpy as np

from bothways.files.origin import Origin
from bothways.files.pending import PendingFile, write_error

__all__ = ["Encoded", "JsonlWriter", "NpyWriter", "ParquetWriter", "Sink", "VectorWriter"]

_ROW_GROUP_BYTES = 1 << 23


@dataclasses.dataclass(frozen=True)
class Encoded:
    """Some rows, encoded. texts: None for what is no text. vectors: float32 (n, d)."""

    ids: list[str]
    texts: list[str | None]
    vectors: np.ndarray
    num_tokens: np.ndarray
    num_unknown: np.ndarray
    truncated: np.ndarray


class VectorWriter(Protocol):
    """Writes rows to one file."""

    def write(self, rows: Encoded) -> None:
        """Add rows."""

    def finish(self) -> None:
        """Write what stands at the end of the file."""


class Sink(io.RawIOBase):
    """An open file whose failures name it, and which can be told to discard what is written."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self.discards = False

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Write all of `data`.

        Raises:
            DataFileError: if the disk is full, or writing fails otherwise.
            BrokenPipeError: if whoever read a pipe has seen enough.
        """
        if self.discards:
            return memoryview(data).nbytes
        try:
            return self._file.write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise write_error(self._name, error) from error

    def flush(self) -> None:
        """Hand on what is buffered, with the errors of `write`."""
        if self.discards or self._file.closed:
            return
        try:
            self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise write_error(self._name, error) from error

    def tell(self) -> int:
        """Bytes before the place of writing."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the place of writing."""
        return self._file.seek(offset, whence)


class ParquetWriter:
    """Parquet in row groups of about 8 MiB."""

    def __init__(self, sink: Sink, origin: Origin) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        item = pa.field("element", pa.float32(), nullable=False)
        self._schema = pa.schema(
            [
                pa.field("id", pa.string(), nullable=False),
                pa.field("text", pa.string()),
                pa.field("vector", pa.list_(item, origin.dimensions), nullable=False),
                pa.field("num_tokens", pa.int32(), nullable=False),
                pa.field("num_unknown", pa.int32(), nullable=False),
                pa.field("truncated", pa.bool_(), nullable=False),
            ],
            metadata={k.encode(): v.encode() for k, v in origin.to_metadata().items()},
        )
        # Vectors look random to a compressor, and no two are equal: both would only cost time.
        self._writer = pq.ParquetWriter(
            pa.PythonFile(sink, mode="w"),
            self._schema,
            compression={"vector.list.element": "none", "id": "snappy", "text": "snappy"},
            use_dictionary=False,
            write_statistics=["num_tokens", "num_unknown", "truncated"],
        )
        self._waiting: list[pa.RecordBatch] = []

    def write(self, rows: Encoded) -> None:
        """Add rows; they are written when a row group is full."""
        import pyarrow as pa

        flat = pa.array(np.ascontiguousarray(rows.vectors, dtype=np.float32).reshape(-1))
        vector_type = self._schema.field("vector").type
        columns: list[pa.Array[Any]] = [
            pa.array(rows.ids, pa.string()),
            pa.array(rows.texts, pa.string()),
            pa.FixedSizeListArray.from_arrays(flat, type=vector_type),
            pa.array(rows.num_tokens, pa.int32()),
            pa.array(rows.num_unknown, pa.int32()),
            pa.array(rows.truncated, pa.bool_()),
        ]
        self._waiting.append(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        if sum(batch.nbytes for batch in self._waiting) >= _ROW_GROUP_BYTES:
            self._flush()

    def finish(self) -> None:
        """Write the last row group and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        waiting, self._waiting = self._waiting, []
        if waiting:
            self._writer.write_table(pa.Table.from_batches(waiting))


class NpyWriter:
    """NumPy's own format (NEP 1), whose header is written again once the rows are counted."""

    def __init__(self, sink: Sink, origin: Origin, sidecar: Path) -> None:
        self._sink, self._origin, self._sidecar = sink, origin, sidecar
        self._rows = 0
        self._write_header()

    def write(self, rows: Encoded) -> None:
        """Add rows."""
        self._sink.write(np.ascontiguousarray(rows.vectors, dtype="<f4").data)
        self._rows += len(rows.vectors)

    def finish(self) -> None:
        """Write the number of rows, and the origin beside the file."""
        if self._sink.discards:
            return
        end = self._sink.tell()
        self._sink.seek(0)
        self._write_header()
        self._sink.seek(end)
        with PendingFile(self._sidecar, overwrite=True) as sidecar:
            facts = {**dataclasses.asdict(self._origin), "rows": self._rows}
            sidecar.file.write(json.dumps(facts, indent=2).encode() + b"\n")

    def _write_header(self) -> None:
        # NumPy pads the header so that the first axis can grow in place.
        shape = (self._rows, self._origin.dimensions)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(cast(Any, self._sink), header)


class JsonlWriter:
    """One JSON object a line; numbers in the fewest digits that give the same float32 again."""

    def __init__(self, sink: Sink, origin: Origin) -> None:
        self._sink = sink
        self._origin = json.dumps(dataclasses.asdict(origin))

    def write(self, rows: Encoded) -> None:
        """Add rows, and hand them on."""
        for i, row_id in enumerate(rows.ids):
            numbers = ",".join(rows.vectors[i].astype(str).tolist())
            truncated = "true" if rows.truncated[i] else "false"
            self._sink.write(
                f'{{"id": {json.dumps(row_id)}, "text": {json.dumps(rows.texts[i])}, '
                f'"vector": [{numbers}], '
                f'"num_tokens": {int(rows.num_tokens[i])}, '
                f'"num_unknown": {int(rows.num_unknown[i])}, "truncated": {truncated}, '
                f'"origin": {self._origin}}}\n'.encode()
            )
        self._sink.flush()

    def finish(self) -> None:
        """Hand on what is left."""
        self._sink.flush()

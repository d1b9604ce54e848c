"""Writers of vectors, one batch at a time.

.parquet  columns id, text, vector, num_tokens, num_unknown, truncated; the origin in the schema's
          metadata
.npy      only the vectors (n, width); their origin and digest in NAME.npy.json beside it, and in
          NAME.npy.ids.jsonl the ids of rows, unless they are row numbers
.jsonl    one object per row: id, text, vector, num_tokens, num_unknown, truncated, origin. Each row
          has the origin, so that it survives when files are cut, joined or piped.

.parquet and .jsonl also have the columns that are copied from the input, after the others.
Vectors are float32, or in .parquet and .npy in another form (`VectorForm`).
"""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any, Protocol, cast

import numpy as np

from bothways.files.array_digest import ArrayDigest
from bothways.files.kept_cells import NO_CELLS, KeptCells, KeptTypes
from bothways.files.origin import Origin
from bothways.files.row_groups import RowGroupWriter
from bothways.files.row_ids import RowIdsWriter
from bothways.files.sidecar import Sidecar
from bothways.files.sink import Sink
from bothways.files.vector_form import VectorCodec, ranges_to_json

__all__ = [
    "RANGES_KEY",
    "JsonlVectorWriter",
    "NpyVectorWriter",
    "ParquetVectorWriter",
    "VectorBatch",
    "VectorWriter",
]

RANGES_KEY = "bothways.ranges"
"""The metadata of a Parquet schema with the ranges of int8 vectors, as JSON."""


@dataclasses.dataclass(frozen=True)
class VectorBatch:
    """n encoded rows.

    texts: None for a row that is not text.
    vectors: float32 (n, d).
    num_tokens: tokens of each row, integers (n,).
    num_unknown: how many of them are unknown to the model, integers (n,).
    truncated: whether each row was cut to the model's length, bool (n,).
    """

    ids: list[str]
    texts: list[str | None]
    vectors: np.ndarray
    num_tokens: np.ndarray
    num_unknown: np.ndarray
    truncated: np.ndarray


class VectorWriter(Protocol):
    """Writes vectors to one file."""

    def write(self, batch: VectorBatch, kept: KeptCells = NO_CELLS) -> None:
        """Add rows, with cells that are copied from the input; .npy has none."""

    def finish(self) -> None:
        """Write the end of the file."""


class ParquetVectorWriter:
    """Writes Parquet in row groups of about 8 MiB; see `RowGroupWriter` for `kept_types`.

    ranges: of int8 vectors, see `VectorCodec`.
    """

    def __init__(
        self,
        sink: Sink,
        origin: Origin,
        kept_types: KeptTypes | None = None,
        ranges: np.ndarray | None = None,
    ) -> None:
        import pyarrow as pa

        self._codec = codec = VectorCodec.of(origin, ranges, "the output")
        metadata = origin.to_metadata()
        if codec.ranges is not None:
            metadata[RANGES_KEY] = json.dumps(ranges_to_json(codec.ranges))
        item = pa.field("element", pa.from_numpy_dtype(codec.dtype), nullable=False)
        schema = pa.schema(
            [
                pa.field("id", pa.string(), nullable=False),
                pa.field("text", pa.string()),
                pa.field("vector", pa.list_(item, codec.width), nullable=False),
                pa.field("num_tokens", pa.int32(), nullable=False),
                pa.field("num_unknown", pa.int32(), nullable=False),
                pa.field("truncated", pa.bool_(), nullable=False),
            ],
            metadata={k.encode(): v.encode() for k, v in metadata.items()},
        )
        # Vectors look random to a compressor and are all different, so neither compression nor a
        # dictionary makes them smaller. Parquet stores int8 in four bytes, but in one byte with a
        # dictionary.
        self._row_groups = RowGroupWriter(
            sink,
            schema,
            kept_types,
            row_bytes=codec.row_bytes + 16,
            compression={"vector.list.element": "none", "id": "snappy", "text": "snappy"},
            use_dictionary=False if codec.is_float else ["vector.list.element"],
            write_statistics=["num_tokens", "num_unknown", "truncated"],
        )

    def write(self, batch: VectorBatch, kept: KeptCells = NO_CELLS) -> None:
        """Add rows; they reach the file when a row group is full."""
        import pyarrow as pa

        flat = pa.array(self._codec.encode(batch.vectors).reshape(-1))
        vector_type = self._row_groups.schema.field("vector").type
        self._row_groups.write(
            [
                pa.array(batch.ids, pa.string()),
                pa.array(batch.texts, pa.string()),
                pa.FixedSizeListArray.from_arrays(flat, type=vector_type),
                pa.array(batch.num_tokens, pa.int32()),
                pa.array(batch.num_unknown, pa.int32()),
                pa.array(batch.truncated, pa.bool_()),
            ],
            kept,
        )

    def finish(self) -> None:
        """Write the last row group and the footer."""
        self._row_groups.finish()


class NpyVectorWriter:
    """Writes NumPy's format (NEP 1); the header is rewritten once the number of rows is known."""

    def __init__(
        self, sink: Sink, origin: Origin, ids: RowIdsWriter, ranges: np.ndarray | None = None
    ) -> None:
        self._sink, self._origin, self._ids = sink, origin, ids
        self._codec = VectorCodec.of(origin, ranges, "the output")
        self._rows, self._bytes = 0, 0
        self._digest = ArrayDigest()
        self._write_header()

    def write(self, batch: VectorBatch, kept: KeptCells = NO_CELLS) -> None:
        """Add rows."""
        vectors = self._codec.encode(batch.vectors)
        self._sink.write(vectors.data)
        self._digest.update(vectors)
        self._ids.add(batch.ids)
        self._rows += len(batch.vectors)

    def finish(self) -> None:
        """Write the number of rows into the header."""
        if self._sink.discards:
            return
        self._bytes = end = self._sink.tell()
        self._sink.seek(0)
        self._write_header()
        self._sink.seek(end)

    def sidecar(self) -> Sidecar:
        """What to write beside the file, once it is finished."""
        return Sidecar(
            origin=self._origin,
            rows=self._rows,
            bytes=self._bytes,
            sha256=self._digest.sha256,
            sample_sha256=self._digest.sample_sha256,
            ids_sha256=self._ids.sha256,
            ranges=self._codec.ranges,
        )

    def _write_header(self) -> None:
        # NumPy pads the header so that the first axis can grow in place.
        shape = (self._rows, self._codec.width)
        descr = np.lib.format.dtype_to_descr(self._codec.dtype)
        header = {"descr": descr, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(cast(Any, self._sink), header)


class JsonlVectorWriter:
    """Writes one JSON object per line, numbers in the fewest digits that give the same float32."""

    def __init__(self, sink: Sink, origin: Origin) -> None:
        self._sink = sink
        self._origin = json.dumps(origin.to_json())

    def write(self, batch: VectorBatch, kept: KeptCells = NO_CELLS) -> None:
        """Write rows and flush, so that a pipe passes them on at once."""
        self._sink.write_lines(self._lines(batch, kept))

    def finish(self) -> None:
        """Flush."""
        self._sink.flush()

    def _lines(self, batch: VectorBatch, kept: KeptCells) -> Iterator[str]:
        rows = kept.json_lines(len(batch.ids))
        for i, (row_id, cells) in enumerate(zip(batch.ids, rows, strict=True)):
            numbers = ",".join(batch.vectors[i].astype(str).tolist())
            truncated = "true" if batch.truncated[i] else "false"
            yield (
                f'{{"id": {json.dumps(row_id)}, "text": {json.dumps(batch.texts[i])}, '
                f'"vector": [{numbers}], '
                f'"num_tokens": {int(batch.num_tokens[i])}, '
                f'"num_unknown": {int(batch.num_unknown[i])}, "truncated": {truncated}, '
                f'{cells}"origin": {self._origin}}}'
            )

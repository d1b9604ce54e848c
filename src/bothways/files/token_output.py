"""Output of token vectors: a .parquet or .jsonl file with one row per sequence.

.parquet  columns id, text, tokens, offsets, vectors, truncated; the origin in the schema's metadata
.jsonl    one object per row with the same fields, and the origin

Both also have the columns that are copied from the input.
"""

import dataclasses
import itertools
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np

from bothways.files.kept_cells import NO_CELLS, KeptCells
from bothways.files.origin import Origin
from bothways.files.output import Output, OutputFormat, open_output
from bothways.files.row_groups import RowGroupWriter
from bothways.files.sink import Sink

__all__ = ["TokenBatch", "TokenOutput", "TokenWriter", "open_token_output"]


@dataclasses.dataclass(frozen=True)
class TokenBatch:
    """n encoded rows; L tokens of one, D model width.

    texts: None for a row that is not text.
    tokens: L of each row.
    offsets: the characters of the text that each token covers, integers (L, 2); None for ids and
        series.
    vectors: float32 (L, D) of each row.
    truncated: whether each row was cut to the model's length.
    """

    ids: list[str]
    texts: list[str | None]
    tokens: list[list[str]]
    offsets: list[np.ndarray | None]
    vectors: list[np.ndarray]
    truncated: list[bool]


class TokenWriter(Protocol):
    """Writes token vectors to one file."""

    def write(self, batch: TokenBatch, kept: KeptCells = NO_CELLS) -> None:
        """Add rows, with cells that are copied from the input."""

    def finish(self) -> None:
        """Write the end of the file."""


class TokenOutput(Output):
    """An output of token vectors, opened before the model is loaded."""

    FORMATS = ("parquet", "jsonl")
    COLUMNS = ("id", "text", "tokens", "offsets", "vectors", "truncated", "origin")

    def start(self, origin: Origin) -> TokenWriter:
        """The writer of vectors that have this origin; call it once."""
        if self.format == "parquet":
            return self.attach(_ParquetTokenWriter(self.sink, origin))
        return self.attach(_JsonlTokenWriter(self.sink, origin))


def open_token_output(
    output: str, *, output_format: OutputFormat | None = None, overwrite: bool = False
) -> AbstractContextManager[TokenOutput]:
    """Open a .parquet or .jsonl file for token vectors, or `-` for standard output.

    See `open_output` for the format, and for what it raises.
    """
    return open_output(TokenOutput, output, output_format=output_format, overwrite=overwrite)


class _ParquetTokenWriter:
    def __init__(self, sink: Sink, origin: Origin) -> None:
        import pyarrow as pa

        item = pa.field("element", pa.float32(), nullable=False)
        schema = pa.schema(
            [
                pa.field("id", pa.string(), nullable=False),
                pa.field("text", pa.string()),
                pa.field("tokens", pa.list_(pa.string()), nullable=False),
                pa.field("offsets", pa.list_(pa.list_(pa.int32(), 2))),
                pa.field("vectors", pa.list_(pa.list_(item, origin.dimensions)), nullable=False),
                pa.field("truncated", pa.bool_(), nullable=False),
            ],
            metadata={k.encode(): v.encode() for k, v in origin.to_metadata().items()},
        )
        self._row_groups = RowGroupWriter(sink, schema)

    def write(self, batch: TokenBatch, kept: KeptCells = NO_CELLS) -> None:
        """Add rows; they reach the file when a row group is full."""
        import pyarrow as pa

        schema = self._row_groups.schema
        list_type = schema.field("vectors").type
        starts = [0, *itertools.accumulate(map(len, batch.vectors))]
        flat = np.concatenate([vectors.reshape(-1) for vectors in batch.vectors])
        vectors = pa.FixedSizeListArray.from_arrays(
            pa.array(flat.astype(np.float32, copy=False)), type=list_type.value_type
        )
        offsets = [None if each is None else each.tolist() for each in batch.offsets]
        self._row_groups.write(
            [
                pa.array(batch.ids, pa.string()),
                pa.array(batch.texts, pa.string()),
                pa.array(batch.tokens, schema.field("tokens").type),
                pa.array(offsets, schema.field("offsets").type),
                pa.ListArray.from_arrays(starts, vectors, type=list_type),
                pa.array(batch.truncated, pa.bool_()),
            ],
            kept,
        )

    def finish(self) -> None:
        """Write the last row group and the footer."""
        self._row_groups.finish()


class _JsonlTokenWriter:
    def __init__(self, sink: Sink, origin: Origin) -> None:
        self._sink = sink
        self._origin = json.dumps(origin.to_json())

    def write(self, batch: TokenBatch, kept: KeptCells = NO_CELLS) -> None:
        """Write rows and flush, so that a pipe passes them on at once."""
        self._sink.write_lines(self._lines(batch, kept))

    def finish(self) -> None:
        """Flush."""
        self._sink.flush()

    def _lines(self, batch: TokenBatch, kept: KeptCells) -> Iterator[str]:
        rows_of_cells = kept.json_lines(len(batch.ids))
        for i, (row_id, cells) in enumerate(zip(batch.ids, rows_of_cells, strict=True)):
            offsets = batch.offsets[i]
            fields = {
                "id": row_id,
                "text": batch.texts[i],
                "tokens": batch.tokens[i],
                "offsets": None if offsets is None else offsets.tolist(),
            }
            vectors = ",".join(
                f"[{','.join(row)}]" for row in batch.vectors[i].astype(str).tolist()
            )
            truncated = "true" if batch.truncated[i] else "false"
            yield (
                f'{json.dumps(fields)[:-1]}, "vectors": [{vectors}], "truncated": {truncated}, '
                f'{cells}"origin": {self._origin}}}'
            )

"""Output of records: a .parquet, .jsonl, .csv or .tsv file, or .jsonl on standard output."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from bothways.files.output import Output, OutputFormat, open_output
from bothways.files.record_writers import (
    ColumnTypes,
    JsonlRecordWriter,
    ParquetRecordWriter,
    RecordWriter,
    TableRecordWriter,
)

__all__ = ["RecordOutput", "open_record_output"]


class RecordOutput(Output):
    """An output of records, opened before their columns are known."""

    FORMATS = ("parquet", "jsonl", "csv", "tsv")

    def start(self, columns: ColumnTypes, metadata: Mapping[str, str]) -> RecordWriter:
        """The writer of records with these columns; call it once.

        metadata: the model and settings that made the records. Only .parquet stores it.
        """
        match self.format:
            case "parquet":
                return self.attach(ParquetRecordWriter(self.sink, columns, metadata))
            case "jsonl":
                return self.attach(JsonlRecordWriter(self.sink))
            case _:
                delimiter = "\t" if self.format == "tsv" else ","
                return self.attach(TableRecordWriter(self.sink, columns, delimiter))


def open_record_output(
    output: str, *, output_format: OutputFormat | None = None, overwrite: bool = False
) -> AbstractContextManager[RecordOutput]:
    """Open a .parquet, .jsonl, .csv or .tsv file for records, or `-` for standard output.

    See `open_output` for the format, and for what it raises.
    """
    return open_output(RecordOutput, output, output_format=output_format, overwrite=overwrite)

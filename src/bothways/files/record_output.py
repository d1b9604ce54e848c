"""Output of records: a .parquet, .jsonl, .csv or .tsv file, or .jsonl on standard output."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from bothways.files.output import Output, open_output
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

    SUFFIXES = (".parquet", ".jsonl", ".csv", ".tsv")

    def start(self, columns: ColumnTypes, metadata: Mapping[str, str]) -> RecordWriter:
        """The writer of records with these columns; call it once.

        metadata: the model and settings that made the records. Only .parquet stores it.
        """
        match self.suffix:
            case ".parquet":
                return self.attach(ParquetRecordWriter(self.sink, columns, metadata))
            case ".jsonl":
                return self.attach(JsonlRecordWriter(self.sink))
            case _:
                delimiter = "\t" if self.suffix == ".tsv" else ","
                return self.attach(TableRecordWriter(self.sink, columns, delimiter))


def open_record_output(
    output: str, *, overwrite: bool = False
) -> AbstractContextManager[RecordOutput]:
    """Open a .parquet, .jsonl, .csv or .tsv file for records, or `-` for .jsonl on standard output.

    A file appears under its name when the block ends without an error. Whether it can be written
    is checked when the block is entered, before there are records.

    Raises:
        DataFileError: if it cannot be written, exists while `overwrite` is False, or has an unknown
            suffix.
        MissingExtra: for .parquet, if pyarrow is not installed.
    """
    return open_output(RecordOutput, output, overwrite=overwrite)

"""Data files: reading rows to encode, writing vectors and records, and searching vectors.

All files are streamed: memory is bounded by a batch, never by a file.
"""

from bothways.files.conditions import Condition
from bothways.files.formats import STDIN, FileOptions, InputFile, TextFormat
from bothways.files.inputs import check_inputs
from bothways.files.missing import OnMissing
from bothways.files.origin import Origin, check_comparable
from bothways.files.output import STDOUT
from bothways.files.reading import read_rows
from bothways.files.record_output import RecordOutput, open_record_output
from bothways.files.rows import Place, ReadProgress, Row
from bothways.files.search import (
    SearchHit,
    find_like,
    find_nearest,
    find_nearest_many,
    read_origin,
)
from bothways.files.vector_file import open_vector_file
from bothways.files.vector_output import VectorOutput, open_vector_output
from bothways.files.vector_writers import VectorBatch, VectorWriter

__all__ = [
    "STDIN",
    "STDOUT",
    "Condition",
    "FileOptions",
    "InputFile",
    "OnMissing",
    "Origin",
    "Place",
    "ReadProgress",
    "RecordOutput",
    "Row",
    "SearchHit",
    "TextFormat",
    "VectorBatch",
    "VectorOutput",
    "VectorWriter",
    "check_comparable",
    "check_inputs",
    "find_like",
    "find_nearest",
    "find_nearest_many",
    "open_record_output",
    "open_vector_file",
    "open_vector_output",
    "read_origin",
    "read_rows",
]

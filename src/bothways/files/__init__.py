"""Data files: rows to encode come in, vectors go out, and the nearest vectors are found again.

Nothing here knows of models; memory is that of a part of a file, never of the whole.
"""

from bothways.files.formats import STDIN, TextFormat, check_inputs
from bothways.files.origin import Origin, check_comparable
from bothways.files.reading import read_rows
from bothways.files.rows import Kind, Meter, Place, Row
from bothways.files.search import Found, nearest, read_origin
from bothways.files.vector_output import STDOUT, VectorOutput, vector_output
from bothways.files.vector_writers import Encoded, VectorWriter

__all__ = [
    "STDIN",
    "STDOUT",
    "Encoded",
    "Found",
    "Kind",
    "Meter",
    "Origin",
    "Place",
    "Row",
    "TextFormat",
    "VectorOutput",
    "VectorWriter",
    "check_comparable",
    "check_inputs",
    "nearest",
    "read_origin",
    "read_rows",
    "vector_output",
]

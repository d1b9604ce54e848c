"""FASTA: a header that begins with `>`, then lines of residues (Pearson and Lipman 1988).

A line that begins with `;` is a comment, and a `*` at the end of a record stands for the stop codon
after its residues.
"""

from collections.abc import Iterable, Iterator

from bothways.errors import DataFileError
from bothways.files.decoding import strip_newline
from bothways.files.formats import InputFile, explain_size
from bothways.files.rows import Place

__all__ = ["read_fasta"]


def read_fasta(lines: Iterable[str], file: InputFile) -> Iterator[tuple[str, str, Place]]:
    """Yield the id (the first word of the header), residues and place of each record.

    Lines are stripped and joined, blank lines and comments are skipped, a final `*` is removed, and
    case is preserved.

    Raises:
        DataFileError: if residues precede the first header, a header is empty, or a record is too
            long.
    """
    name, row, size = file.name, 0, 0
    header: tuple[str, Place] | None = None
    residues: list[str] = []
    for number, raw in enumerate(lines, 1):
        line = strip_newline(raw)
        if line.startswith(">"):
            if header is not None:
                yield header[0], _join(residues), header[1]
            row += 1
            words = line[1:].split(maxsplit=1)
            if not words:
                raise DataFileError(
                    f"{Place(name, row, number)}: a header without a name after '>'"
                )
            header, residues, size = (words[0], Place(name, row, number)), [], 0
        elif (stripped := line.strip()) and not line.startswith(";"):
            if header is None:
                raise DataFileError(
                    f"{name}, line {number}: expected a header such as '>name', "
                    f"found {stripped[:40]!r}"
                )
            residues.append(stripped)
            size += len(stripped)
            if size > file.max_row_size:
                raise DataFileError(f"{header[1]}: {explain_size('a record', file.max_row_size)}")
    if header is not None:
        yield header[0], _join(residues), header[1]


def _join(residues: list[str]) -> str:
    return "".join(residues).removesuffix("*")

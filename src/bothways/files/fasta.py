"""FASTA: a header that begins with `>`, then lines of residues (Pearson and Lipman 1988)."""

from collections.abc import Iterable, Iterator

from bothways.errors import DataFileError
from bothways.files.decoding import strip_newline
from bothways.files.rows import Place

__all__ = ["read_fasta"]


def read_fasta(lines: Iterable[str], name: str) -> Iterator[tuple[str, str, Place]]:
    """Yield the id (the first word of the header), residues and place of each record.

    Lines are stripped and joined, blank lines are skipped, and case is preserved.

    Raises:
        DataFileError: if residues precede the first header, or a header is empty.
    """
    row = 0
    header: tuple[str, Place] | None = None
    residues: list[str] = []
    for number, raw in enumerate(lines, 1):
        line = strip_newline(raw)
        if line.startswith(">"):
            if header is not None:
                yield header[0], "".join(residues), header[1]
            row += 1
            words = line[1:].split(maxsplit=1)
            if not words:
                raise DataFileError(
                    f"{Place(name, row, number)}: a header without a name after '>'"
                )
            header, residues = (words[0], Place(name, row, number)), []
        elif stripped := line.strip():
            if header is None:
                raise DataFileError(
                    f"{name}, line {number}: expected a header such as '>name', "
                    f"found {stripped[:40]!r}"
                )
            residues.append(stripped)
    if header is not None:
        yield header[0], "".join(residues), header[1]

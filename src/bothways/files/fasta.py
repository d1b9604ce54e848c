"""FASTA: a header that begins with `>`, then lines of residues (Pearson and Lipman 1988)."""

from collections.abc import Iterable, Iterator

from bothways.errors import DataFileError
from bothways.files.decoding import without_end
from bothways.files.rows import Place

__all__ = ["read_fasta"]


def read_fasta(lines: Iterable[str], name: str) -> Iterator[tuple[str, str, Place]]:
    """The id (the header's first word), residues and place of each record.

    Lines are joined, without the spaces around them; blank lines are skipped; case is kept.

    Raises:
        DataFileError: for residues before the first header, and for a header without a word.
    """
    row = 0
    header: tuple[str, Place] | None = None
    residues: list[str] = []
    for number, raw in enumerate(lines, 1):
        line = without_end(raw)
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

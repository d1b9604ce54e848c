"""Plain text: one sequence per line, or per file. Blank lines at the end are not rows."""

from collections.abc import Iterable, Iterator

from bothways.errors import DataFileError
from bothways.files.decoding import strip_newline
from bothways.files.formats import InputFile, explain_size
from bothways.files.rows import Place

__all__ = ["read_document", "read_text"]


def read_text(
    lines: Iterable[str], name: str, lines_before: int = 0
) -> Iterator[tuple[None, str, Place]]:
    """Yield the text and place of each line, up to the last that is not blank."""
    num_read = lines_before
    for number, line in enumerate(lines, lines_before + 1):
        text = strip_newline(line)
        if not text or text.isspace():
            continue  # until a text follows
        for blank in range(num_read + 1, number):
            yield None, "", Place(name, blank)
        yield None, text, Place(name, number)
        num_read = number


def read_document(lines: Iterable[str], file: InputFile) -> Iterator[tuple[str, str, Place]]:
    """Yield the whole text of a file, without its last line end, with its path as its id.

    Raises:
        DataFileError: if the text is too long.
    """
    parts, size = [], 0
    for line in lines:
        parts.append(line)
        size += len(line)
        if size > file.max_row_size:
            raise DataFileError(f"{file.name}: {explain_size('a text', file.max_row_size)}")
    yield file.source, strip_newline("".join(parts)), Place(file.name, 1)

"""Plain text: one sequence per line. A blank line is an empty sequence, and counts as a row."""

from collections.abc import Iterable, Iterator

from bothways.files.decoding import strip_newline
from bothways.files.rows import Place

__all__ = ["read_text"]


def read_text(lines: Iterable[str], name: str) -> Iterator[tuple[None, str, Place]]:
    """Yield the text and place of each line."""
    for number, line in enumerate(lines, 1):
        yield None, strip_newline(line), Place(name, number)

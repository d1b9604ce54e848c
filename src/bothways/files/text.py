"""Lines of text, one sequence each. A blank line is an empty sequence, so that numbers agree."""

from collections.abc import Iterable, Iterator

from bothways.files.decoding import without_end
from bothways.files.rows import Place

__all__ = ["read_text"]


def read_text(lines: Iterable[str], name: str) -> Iterator[tuple[None, str, Place]]:
    """The text and place of each line."""
    for number, line in enumerate(lines, 1):
        yield None, without_end(line), Place(name, number)

"""The bad rows of a shard: why each cannot be encoded, in a file beside the parts."""

import hashlib
import json
from pathlib import Path
from typing import Any

from bothways.files import Row
from bothways.files.parts import BadRow, BadRowCode
from bothways.jobs.signed_json import write_bytes

__all__ = ["BadRows", "refused_row"]

_EXCERPT_CHARACTERS = 200


class BadRows:
    """The bad rows of a shard; their file exists if there are any."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[BadRow] = []
        self.sha256: str | None = None

    def add(self, row: BadRow) -> None:
        """Add a row."""
        self._rows.append(row)

    def write(self) -> None:
        """Write the rows by their place, or remove the file of an earlier attempt."""
        if not self._rows:
            self._path.unlink(missing_ok=True)
            return
        rows = sorted(self._rows, key=lambda row: row.place.row)
        content = "".join(json.dumps(_bad_json(row)) + "\n" for row in rows).encode()
        write_bytes(self._path, content)
        self.sha256 = hashlib.sha256(content).hexdigest()


def _bad_json(row: BadRow) -> dict[str, Any]:
    place = row.place
    return {
        "place": {"file": place.file, "row": place.row, "line": place.line, "column": place.field},
        "id": row.id,
        "code": row.code,
        "message": row.message,
        "excerpt": row.excerpt,
    }


def refused_row(row: Row, code: BadRowCode, message: str) -> BadRow:
    """A row that cannot be encoded, with the beginning of its text."""
    excerpt = row.value[:_EXCERPT_CHARACTERS] if isinstance(row.value, str) else None
    return BadRow(row.place, row.id, code, message, excerpt)

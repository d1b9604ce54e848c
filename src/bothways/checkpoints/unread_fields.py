"""Unread fields: those of settings files that no implementation reads, such as project notes.

They change no result, so a folder that has them loads; they are kept for export.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Self

from bothways.checkpoints.json_fields import Fields
from bothways.errors import UnreadFieldsWarning
from bothways.io.caller import warn_caller
from bothways.io.json_files import brief

__all__ = ["UnreadFields"]

_KEY = "unread_fields"
_MAX_NAMES = 8


class UnreadFields(defaultdict[str, dict[str, Any]]):
    """The unread fields of each settings file of a folder, by the file's path in the folder."""

    def __init__(self) -> None:
        super().__init__(dict)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Those among the source settings of a model, where they are kept."""
        unread = cls()
        files = settings.get(_KEY)
        for file, values in files.items() if isinstance(files, dict) else ():
            if isinstance(values, dict):
                unread[file] = values
        return unread

    def add(self, file: str, fields: Fields) -> None:
        """Add all fields of a file that have not been read yet."""
        if rest := fields.rest():
            self[file] |= rest

    def settings(self) -> dict[str, Any]:
        """The entry of a model's source settings that keeps them; none if there are none."""
        return {_KEY: dict(self)} if self else {}

    def names(self) -> dict[str, list[str]]:
        """The names of the fields of each file."""
        return {file: list(values) for file, values in self.items() if values}

    def warn(self, folder: object) -> None:
        """Warn of all of them at once, if there are any."""
        names = [
            f"{file}: {brief(name)}" for file, fields in self.names().items() for name in fields
        ]
        if names:
            more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
            warn_caller(
                UnreadFieldsWarning(
                    f"{folder}: fields that no implementation of this model reads are ignored, and "
                    f"kept for export: {', '.join(names[:_MAX_NAMES])}{more}"
                )
            )

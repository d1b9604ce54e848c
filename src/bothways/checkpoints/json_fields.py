"""Strict reading of JSON settings: fields are read by name, and no field goes unnoticed."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import brief

__all__ = ["LARGEST", "MISSING", "Fields", "same"]

MISSING: Any = object()
"""Default of a required field."""

LARGEST = 2**31 - 1
"""The largest size accepted in a settings file; no real model comes near."""


class Fields:
    """A JSON object whose fields are taken one by one, checked, and accounted for at the end.

    `finish` makes the other fields errors; `rest` returns them.

    Each method takes a name and a default for an absent field, and raises a CheckpointError that
    names file and field if the value has another type.
    """

    def __init__(self, values: Mapping[str, Any], file: str) -> None:
        self.file = file
        self._values = dict(values)
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        """Whether the file has a field called `name`."""
        return name in self._values

    def raw(self, name: str, default: Any = None) -> Any:
        """The value, unchecked."""
        self._read.add(name)
        value = self._values.get(name, default)
        if value is MISSING:
            raise CheckpointError(f"{self.file}: field {name!r} is missing")
        return value

    def integer(self, name: str, default: int = MISSING, *, at_least: int = 0) -> int:
        """A whole number of at least `at_least`."""
        value: int = self._of_kind(name, default, (int,), "a whole number")
        if not at_least <= value <= LARGEST:
            raise CheckpointError(
                f"{self.file}: {name}={value}: expected at least {at_least}, at most {LARGEST:,}"
            )
        return value

    def optional_integer(
        self, name: str, default: int | None = None, *, at_least: int = 0
    ) -> int | None:
        """A whole number; null counts as absent."""
        if self.raw(name) is None:
            return default
        return self.integer(name, at_least=at_least)

    def number(self, name: str, default: float = MISSING) -> float:
        """A number."""
        value = self._of_kind(name, default, (int, float), "a number")
        if abs(value) > LARGEST:
            raise CheckpointError(f"{self.file}: {name}={brief(value)}: too large a number")
        return float(value)

    def flag(self, name: str, default: bool = MISSING) -> bool:
        """True or false."""
        value: bool = self._of_kind(name, default, (bool,), "true or false")
        return value

    def text(self, name: str, default: str = MISSING) -> str:
        """A string."""
        value: str = self._of_kind(name, default, (str,), "a string")
        return value

    def mapping(self, name: str, default: Mapping[str, Any] = MISSING) -> dict[str, Any]:
        """An object, as a dict."""
        return dict(self._of_kind(name, default, (dict,), "an object"))

    def object(self, name: str) -> "Fields":
        """An object, as nested `Fields`."""
        return Fields(self.mapping(name), f"{self.file}: {name}")

    def list(self, name: str, default: list[Any] = MISSING) -> list[Any]:
        """A list."""
        value: list[Any] = self._of_kind(name, default, (list,), "a list")
        return value

    def only(self, name: str, *accepted: Any, because: str = "") -> None:
        """Check that a field is absent or has one of the accepted values.

        Raises:
            UnsupportedModel: for another value, with the reason.
        """
        if name not in self._values or any(same(self.raw(name), value) for value in accepted):
            self._read.add(name)
            return
        reason = because or f"bothways runs it only with {' or '.join(map(repr, accepted))}"
        raise UnsupportedModel(f"{self.file}: {name}={brief(self._values[name])}: {reason}")

    def drop(self, names: Iterable[str]) -> None:
        """Ignore fields that do not change the result."""
        self._read.update(names)

    def keep(self, names: Iterable[str]) -> dict[str, Any]:
        """The named fields that the file has, unchecked."""
        return {name: self.raw(name) for name in names if name in self._values}

    def texts(self, name: str) -> dict[str, str]:
        """An object of strings; empty if absent or null. A null string counts as empty."""
        texts = self.mapping(name) if self.raw(name) is not None else {}
        for key, text in texts.items():
            if text is not None and not isinstance(text, str):
                raise CheckpointError(
                    f"{self.file}: {name}: {brief(key)}={brief(text)}: expected a string"
                )
        return {key: text or "" for key, text in texts.items()}

    def one_of(self, name: str, choices: Collection[str]) -> str | None:
        """One of the given strings, or null.

        Raises:
            UnsupportedModel: for another.
        """
        value = self.raw(name)
        if value is None or (isinstance(value, str) and value in choices):
            return value
        raise UnsupportedModel(
            f"{self.file}: {name}={brief(value)}: expected {', '.join(choices) or 'null'}"
        )

    def unread(self) -> tuple[str, ...]:
        """The fields that have not been read yet."""
        return tuple(name for name in self._values if name not in self._read)

    def rest(self) -> dict[str, Any]:
        """The fields that have not been read yet, which count as read from then on."""
        return self.keep(self.unread())

    def finish(self, subject: str) -> None:
        """Check that every field has been read. subject: what the file describes, for messages.

        Raises:
            UnsupportedModel: naming an unread field.
        """
        for name, value in self._values.items():
            if name not in self._read:
                raise UnsupportedModel(
                    f"{self.file}: {name[:80]}={brief(value)}: bothways does not know this field "
                    f"of {subject}, and it may change the result; remove it if it does not"
                )

    def _of_kind(self, name: str, default: Any, kinds: tuple[type, ...], expected: str) -> Any:
        value = self.raw(name, default)
        # To Python a bool is an int.
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise CheckpointError(f"{self.file}: {name}={brief(value)}: expected {expected}")
        return value


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal; true is not 1."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)

"""The exceptions that bothways raises on purpose, and its warnings.

    BothwaysError
    ├── ConfigError            an encoder config is contradictory, or has an unknown option
    ├── CheckpointError        a model folder is incomplete, malformed or inconsistent
    │   └── UnsupportedModel   the model folder is valid, but bothways cannot run it faithfully
    ├── SourceError            a model cannot be found or downloaded
    ├── InputError             a sequence, or an argument of a call, is invalid
    │   └── SequenceTooLong    a sequence is longer than the model allows, with on_overflow="error"
    ├── DataFileError          a data file cannot be read or written; names file, row and field
    ├── BackendError           a backend, device or precision is not available on this machine
    └── MissingExtra           an optional dependency is not installed; names the extra

Each also derives from the built-in exception that callers expect (`ValueError`, `OSError`, ...). A
message says what was wrong, where, what was expected, and what to do next; the command line prints
it unchanged.
"""

import functools
import re
from collections.abc import Callable
from typing import Self

from bothways.installation import install_command

__all__ = [
    "AdapterWarning",
    "BackendError",
    "BothwaysError",
    "CheckpointError",
    "ConfigError",
    "DataFileError",
    "InputError",
    "LengthWarning",
    "MissingExtra",
    "PoolingWarning",
    "PrecisionWarning",
    "SequenceTooLong",
    "SourceError",
    "TruncationWarning",
    "UnknownTokenWarning",
    "UnreadFieldsWarning",
    "UnsupportedModel",
]


LONGEST_MESSAGE = 1500
"""Characters of a message. Of a longer one, which quotes a long value or many names, the middle is
left out: it begins with the place, and ends with what to do."""

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

_KEPT_START, _KEPT_END = 1000, 400
"""Characters that are kept of a longer message."""


class BothwaysError(Exception):
    """The base class: catch it to catch every error that bothways reports."""

    def __init__(self, *args: object) -> None:
        if args and isinstance(args[0], str):
            args = (_shorten(_escape(args[0])), *args[1:])
        super().__init__(*args)


class ConfigError(BothwaysError, ValueError):
    """An encoder config is contradictory, or has an unknown option."""


class CheckpointError(BothwaysError, ValueError):
    """A model folder is incomplete, malformed or inconsistent."""


class UnsupportedModel(CheckpointError):
    """The model folder is valid, but bothways cannot run it faithfully."""


class SourceError(BothwaysError, OSError):
    """A model cannot be found or downloaded."""


class InputError(BothwaysError, ValueError):
    """A sequence, or an argument of a call, is invalid.

    sequence: index of the invalid sequence in the caller's list; None if an argument is invalid.
    detail: the message without the index, for callers that have a better name for the sequence.
    """

    def __init__(self, detail: str, *, sequence: int | None = None) -> None:
        super().__init__(detail if sequence is None else f"sequence {sequence}: {detail}")
        self.detail = detail
        self.sequence = sequence


class SequenceTooLong(InputError):
    """A sequence is longer than the model allows, with `on_overflow="error"`."""


class DataFileError(BothwaysError, OSError):
    """A data file cannot be read or written."""


class BackendError(BothwaysError, RuntimeError):
    """A backend, device or precision is not available on this machine."""


class MissingExtra(BothwaysError, ImportError):
    """An optional dependency is not installed; the message has the command that installs it."""

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs an extra: {install_command(extra)}")
        self.extra = extra
        self.purpose = purpose

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        """Pickle the arguments, as workers of joblib and multiprocessing do, not the message."""
        return type(self), (self.extra, self.purpose)


def _escape(message: str) -> str:
    """Escape what would control a terminal, which a file's names and values can contain."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), message)


def _shorten(message: str) -> str:
    if len(message) <= LONGEST_MESSAGE:
        return message
    left_out = len(message) - _KEPT_START - _KEPT_END
    start, end = message[:_KEPT_START], message[-_KEPT_END:]
    return f"{start} [... {left_out:,} characters ...] {end}"


class TruncationWarning(UserWarning):
    """Sequences were longer than the model allows and were cut; the message counts them."""


class AdapterWarning(UserWarning):
    """A model has adapters for tasks, and none was chosen."""


class LengthWarning(UserWarning):
    """A model takes shorter sequences than it was made for; the message says why."""


class PoolingWarning(UserWarning):
    """A folder does not say how its model is pooled, and it was published with another pooling."""


class UnreadFieldsWarning(UserWarning):
    """Settings files of a model have fields that nothing reads; the message names them."""


class PrecisionWarning(UserWarning):
    """Vectors of different precision, such as fp32 and int8, are compared."""


class UnknownTokenWarning(UserWarning):
    """Sequences consist mostly of unknown tokens; the message counts them and says what to do.

    count: the number of such sequences. first: index of the first. advice: what to do about it.
    """

    def __init__(self, message: str, *, count: int, first: int, advice: str) -> None:
        super().__init__(message)
        self.count, self.first, self.advice = count, first, advice

    def __reduce__(self) -> tuple[Callable[..., Self], tuple[()], dict[str, object]]:
        """Pickle the arguments by name."""
        rebuild = functools.partial(
            type(self), str(self), count=self.count, first=self.first, advice=self.advice
        )
        return rebuild, (), {}

"""Everything bothways raises on purpose.

    BothwaysError
    ├── ConfigError            an encoder config is contradictory, or names what does not exist
    ├── CheckpointError        a model folder is incomplete, malformed, or not what it says
    │   └── UnsupportedModel   the folder is fine, but bothways cannot run it as it was meant
    ├── SourceError            a model could not be found or fetched
    ├── InputError             a sequence, or an argument of a call, cannot be encoded
    │   └── SequenceTooLong    a sequence exceeds the model and `on_overflow="error"`
    ├── DataFileError          a data file cannot be read or written: names file, row and field
    ├── BackendError           the chosen backend, device or precision is not to be had here
    └── MissingExtra           an optional dependency is not installed: names the extra

Each also derives from the built-in that a caller would expect (`ValueError`, `OSError`, ...). A
message says what was wrong, where, what was expected, and what to do next; the command line prints
it as it is.
"""

__all__ = [
    "BackendError",
    "BothwaysError",
    "CheckpointError",
    "ConfigError",
    "DataFileError",
    "InputError",
    "MissingExtra",
    "SequenceTooLong",
    "SourceError",
    "TruncationWarning",
    "UnsupportedModel",
]


class BothwaysError(Exception):
    """The root: catch it to catch every mistake that bothways diagnoses."""


class ConfigError(BothwaysError, ValueError):
    """An encoder config is contradictory, or names what does not exist."""


class CheckpointError(BothwaysError, ValueError):
    """A model folder is missing a file, malformed, or not what it says it is."""


class UnsupportedModel(CheckpointError):
    """The folder is fine, but bothways cannot run this architecture faithfully."""


class SourceError(BothwaysError, OSError):
    """A model could not be found or fetched."""


class InputError(BothwaysError, ValueError):
    """A sequence, or an argument of a call, cannot be encoded.

    `sequence` is the index, in the list that was passed, of the sequence at fault, where one is;
    `detail` is the message without it, for those who know the sequence by a better name.
    """

    def __init__(self, detail: str, *, sequence: int | None = None) -> None:
        super().__init__(detail if sequence is None else f"sequence {sequence}: {detail}")
        self.detail = detail
        self.sequence = sequence


class SequenceTooLong(InputError):
    """A sequence exceeds the model and `on_overflow="error"`."""


class DataFileError(BothwaysError, OSError):
    """A data file cannot be read or written."""


class BackendError(BothwaysError, RuntimeError):
    """The chosen backend, device or precision is not to be had here."""


class MissingExtra(BothwaysError, ImportError):
    """An optional dependency is not installed.

    >>> print(MissingExtra("torch", "pytorch_model.bin"))
    pytorch_model.bin needs an extra: pip install 'bothways[torch]'
    """

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs an extra: pip install 'bothways[{extra}]'")
        self.extra = extra


class TruncationWarning(UserWarning):
    """Sequences were longer than the model takes and were cut: says how many."""

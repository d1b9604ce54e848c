"""What every kind of input becomes, and what turns it into that.

A reader knows one kind of input (text, symbols, series) and gives a `Tokenized` for each sequence:
the numbers an encoder takes. What only people need, the tokens' names and places, is worked out
when somebody asks: reading millions of sequences must not pay for it.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

__all__ = ["Description", "Kind", "SequenceReader", "Tokenized", "is_one_sequence", "type_name"]

Kind = Literal["text", "symbols", "series"]


class Description(NamedTuple):
    """What a person wants to know of each of L positions."""

    tokens: list[str]
    offsets: np.ndarray | None


@dataclasses.dataclass(frozen=True, eq=False)
class Tokenized:
    """One sequence of L positions, ready for an encoder.

    Shape: `prefix` special tokens, the content, `suffix` special tokens. The first `prompt` tokens
    of the content are the prompt's. In a pair, the content is `first` tokens of the first text
    (prompt included), `middle` special tokens, and the tokens of the second text.

    values: token ids, int64 (L,), or vectors, float32 (L, C).
    segments: segment ids, int64 (L,), for pairs of a model that tells segments apart; else None.
    first, middle: None and 0 but for pairs.
    """

    values: np.ndarray
    describe: Callable[[], Description] = dataclasses.field(repr=False)
    prefix: int = 0
    suffix: int = 0
    prompt: int = 0
    segments: np.ndarray | None = None
    first: int | None = None
    middle: int = 0

    def __len__(self) -> int:
        """L, special tokens included."""
        return len(self.values)

    @cached_property
    def _description(self) -> Description:
        return self.describe()

    @property
    def tokens(self) -> list[str]:
        """The token at each position, as its vocabulary writes it; worked out on first use."""
        return self._description.tokens

    @property
    def offsets(self) -> np.ndarray | None:
        """Character spans in what the user passed, int64 (L, 2): `text[start:end]`.

        (0, 0) for special tokens and for the prompt. None where the input is no string. In a pair,
        each span is in its own text. Worked out on first use.
        """
        return self._description.offsets


class SequenceReader(Protocol):
    """Turns one kind of input into what an encoder takes."""

    @property
    def kind(self) -> Kind:
        """Which kind of input it is."""
        ...

    def read(self, sequences: Sequence[Any] | np.ndarray, *, prompt: str = "") -> list[Tokenized]:
        """Each sequence as ids or values, with `prompt` before it, in the order given.

        Raises:
            InputError: naming the sequence that cannot be read, by its index in `sequences`.
        """
        ...

    def prompt_length(self, prompt: str) -> int:
        """How many positions, from the first, pooling without the prompt leaves out."""
        ...

    def save(self, folder: Path) -> None:
        """Write the file from which `checkpoints.open_reader` makes this reader again."""
        ...


def is_one_sequence(value: Any) -> bool:
    """Whether a call was given a single sequence rather than several.

    One sequence is a string, a tuple of two strings (a pair of texts), an integer array (L,) or a
    float array (L, C). A list is always several: to encode one list of ids or symbols, put it into
    a list.
    """
    if isinstance(value, np.ndarray):
        return value.dtype.kind not in "OSTU" and value.ndim == (
            1 if value.dtype.kind in "iu" else 2
        )
    if isinstance(value, tuple):
        return len(value) == 2 and all(isinstance(text, str) for text in value)
    return isinstance(value, str)


def type_name(value: Any) -> str:
    """What a value is, for a message: `None`, `float`, `int64 array of shape (3, 2)`."""
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array of shape {value.shape}"
    return type(value).__name__

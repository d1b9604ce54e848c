"""The interface of readers, which convert text, symbols or series to the values of an encoder.

A reader returns one `Tokenized` per sequence. The names and character spans of tokens, which only
people need, are computed on first use, so that reading millions of sequences does not pay for them.
"""

import dataclasses
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from bothways.model.inputs import InputKind

__all__ = [
    "Description",
    "SequenceReader",
    "Tokenized",
    "hint_for",
    "is_single_sequence",
    "type_name",
]


class Description(NamedTuple):
    """The names and character spans of L positions."""

    tokens: list[str]
    offsets: np.ndarray | None


@dataclasses.dataclass(frozen=True, eq=False)
class Tokenized:
    """One sequence of L positions, ready for an encoder.

    Layout: `prefix` special tokens, the content, `suffix` special tokens. The first `prompt` tokens
    of the content belong to the prompt. In a pair, the content is `first` tokens of the first text
    (prompt included), `middle` special tokens, and the tokens of the second text.

    values: token ids, int64 (L,), or vectors, float32 (L, C).
    segments: segment ids, int64 (L,), for pairs in a model with segment embeddings; else None.
    first, middle: None and 0 unless the sequence is a pair.
    is_whole: False if only the beginning of the sequence was read, more than `max_length` tokens.
    """

    values: np.ndarray
    describe: Callable[[], Description] = dataclasses.field(repr=False)
    prefix: int = 0
    suffix: int = 0
    prompt: int = 0
    segments: np.ndarray | None = None
    first: int | None = None
    middle: int = 0
    is_whole: bool = True

    def __len__(self) -> int:
        """L, including special tokens."""
        return len(self.values)

    @cached_property
    def _description(self) -> Description:
        return self.describe()

    @property
    def tokens(self) -> list[str]:
        """The token at each position, as in the vocabulary; computed on first use."""
        return self._description.tokens

    @property
    def offsets(self) -> np.ndarray | None:
        """Character spans in the input, int64 (L, 2): `text[start:end]`; computed on first use.

        (0, 0) for special tokens and for the prompt. None if the input is not a string. In a pair,
        each span refers to the text that contains the token.
        """
        return self._description.offsets


class SequenceReader(Protocol):
    """Converts one kind of input to the values of an encoder."""

    @property
    def kind(self) -> InputKind:
        """The kind of input."""
        ...

    def read(
        self,
        sequences: Sequence[Any] | np.ndarray,
        *,
        prompt: str = "",
        max_length: int | None = None,
    ) -> list[Tokenized]:
        """Convert each sequence, with `prompt` before it, in order.

        max_length: the number of tokens that will be used, special tokens included. Of a longer
            sequence, a reader may read only the beginning: at least one token more than that, so
            that truncation gives the same as with all of them. None to read everything.

        Raises:
            InputError: names the sequence that cannot be read, by its index in `sequences`.
        """
        ...

    @property
    def added_ids(self) -> frozenset[int]:
        """Ids of the special tokens that are added to each sequence, which `mean_content` skips."""
        ...

    def prompt_length(self, prompt: str) -> int:
        """Leading positions that pooling without the prompt leaves out."""
        ...

    def characters_read(self, max_length: int) -> int | None:
        """How much of a longer str `read` usually reads for `max_length` tokens; None for all."""
        ...

    def save(self, folder: Path) -> None:
        """Write the file from which `checkpoints.open_reader` opens this reader again."""
        ...


def is_single_sequence(value: Any) -> bool:
    """Whether the argument of a call is one sequence rather than several.

    One sequence is a str, a tuple of two str (a pair), an integer array (L,) or a float array
    (L, C). A list always holds several: to encode one list of ids or symbols, wrap it in a list.
    """
    if isinstance(value, np.ndarray):
        return value.dtype.kind not in "OSTU" and value.ndim == (
            1 if value.dtype.kind in "iu" else 2
        )
    if isinstance(value, tuple):
        return len(value) == 2 and all(isinstance(text, str) for text in value)
    return isinstance(value, str)


def hint_for(value: Any) -> str:
    """What to do with a value that is no sequence, to append to a message; "" if unclear."""
    if isinstance(value, bytes | bytearray | memoryview):
        return "; decode it first, as in value.decode('utf-8')"
    if isinstance(value, os.PathLike):
        return "; for the content of the file, read it first, as in path.read_text()"
    return ""


def type_name(value: Any) -> str:
    """The type of a value, for a message: `None`, `float`, `int64 array of shape (3, 2)`."""
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array of shape {value.shape}"
    return type(value).__name__

"""Options that travel together: how sequences are run, and how their vectors are made."""

import dataclasses
from typing import Any, Literal, get_args

import numpy as np

from bothways.errors import InputError
from bothways.inference.prompts import PromptRole, check_prompt_arguments
from bothways.io.progress import ProgressCallback
from bothways.model.config import PoolingMode
from bothways.model.packing import DEFAULT_MAX_TOKENS
from bothways.sequences import OnOverflow

__all__ = ["OnUnknown", "RunOptions", "VectorOptions", "check_count"]

OnUnknown = Literal["warn", "error", "ignore"]

_ON_OVERFLOW, _ON_UNKNOWN = get_args(OnOverflow), get_args(OnUnknown)


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How one call runs its sequences.

    on_overflow: what to do with a sequence that is longer than the model allows.
    max_tokens: the largest number of tokens in a batch; None for the default.
    progress: True for a progress bar, or a function of (tokens done, total tokens).
    prompt: the text to prepend to each sequence, "" for none; prompt_name: the name of a prompt of
        the model; role: whether the sequences are queries or documents. At most one is given; None
        for the model's default prompt.
    on_unknown: what to do with a sequence that consists mostly of unknown tokens.
    max_length: the longest sequence, in tokens, special tokens included; None for the encoder's.

    Raises:
        InputError: if `on_overflow`, `on_unknown` or `role` is not one of its values, `max_tokens`
            is less than 1, or several arguments choose the prompt.
    """

    on_overflow: OnOverflow = "truncate"
    max_tokens: int | None = None
    progress: bool | ProgressCallback = False
    prompt: str | None = None
    prompt_name: str | None = None
    role: PromptRole | None = None
    on_unknown: OnUnknown = "warn"
    max_length: int | None = None

    def __post_init__(self) -> None:
        if self.on_overflow not in _ON_OVERFLOW:
            raise InputError(f"on_overflow={self.on_overflow!r}: expected {_one_of(OnOverflow)}")
        if self.on_unknown not in _ON_UNKNOWN:
            raise InputError(f"on_unknown={self.on_unknown!r}: expected {_one_of(OnUnknown)}")
        check_prompt_arguments(self.prompt, self.prompt_name, self.role)
        check_count("max_tokens", self.max_tokens)
        check_count("max_length", self.max_length)

    @property
    def batch_tokens(self) -> int:
        """The largest number of tokens in a batch."""
        return DEFAULT_MAX_TOKENS if self.max_tokens is None else self.max_tokens


@dataclasses.dataclass(frozen=True)
class VectorOptions:
    """How pooled vectors are made; None for the model's own.

    pooling: the pooling mode. normalize: whether vectors have unit length. dimensions: the number
    of leading dimensions to keep.

    Raises:
        InputError: if the pooling is unknown.
    """

    pooling: PoolingMode | None = None
    normalize: bool | None = None
    dimensions: int | None = None

    def __post_init__(self) -> None:
        if self.pooling is not None and self.pooling not in get_args(PoolingMode):
            raise InputError(
                f"pooling={self.pooling!r}: expected {_one_of(PoolingMode)}; "
                "`contextualize` gives the vectors without pooling"
            )
        check_count("dimensions", self.dimensions, least=None)


def check_count(name: str, value: Any, *, least: int | None = 1) -> None:
    """Check that the argument `name` is a whole number of at least `least`, or None.

    Raises:
        InputError: naming the argument and its value.
    """
    if value is None:
        return
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise InputError(f"{name}={value!r}: expected a whole number, or None")
    if least is not None and value < least:
        raise InputError(f"{name}={value}: expected at least {least}, or None")


def _one_of(variants: Any) -> str:
    """The values of a `Literal`, for a message: `one of error, truncate, window`."""
    return f"one of {', '.join(get_args(variants))}"

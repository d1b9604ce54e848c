"""The rule for one sequence: a single sequence in, a single result out.

`as_inputs` applies it when a method runs; `one_or_many` states it for the type checker.
"""

from collections.abc import Callable
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar, cast, overload

import numpy as np

from bothways.errors import InputError
from bothways.inference.containers import (
    as_array_if_numeric,
    as_array_if_series,
    holds_lists,
    is_table,
    rows_of,
    table_as_series,
)
from bothways.inference.padded_ids import refuse_padding
from bothways.sequences import SequenceReader, is_single_sequence

__all__ = ["SequenceInputs", "TextOrPair", "as_inputs", "lists_as_pairs", "one_or_many"]

TextOrPair = str | tuple[str, str]
"""What is one sequence by its type; an array is one or several, depending on its shape."""

Owner = TypeVar("Owner")
One = TypeVar("One")
Many = TypeVar("Many")
OneOut = TypeVar("OneOut", covariant=True)
ManyOut = TypeVar("ManyOut", covariant=True)
Options = ParamSpec("Options")


class SequenceInputs(NamedTuple):
    """The sequences of a call as a list.

    single: whether the call was given one sequence, and so returns one result.
    """

    rows: list[Any]
    single: bool


def as_inputs(
    sequences: Any, reader: SequenceReader | None, *, pairs: bool = False
) -> SequenceInputs:
    """The sequences of a call as a list, from any iterable of them or from a single one.

    A table, such as a data frame, holds its sequences in its only column. For a model of series a
    table of numbers is a single series: a row for each position, a column for each channel.

    pairs: whether a table of two columns holds pairs of texts.

    Raises:
        InputError: if the argument contains no sequences, or naming the row whose value is missing;
            if a model of symbols is given a pair of texts.
    """
    if reader is not None and reader.kind == "series":
        return _as_series(sequences, reader)
    if hasattr(sequences, "detach"):  # a torch tensor: ids
        sequences = as_array_if_numeric(sequences)
    if not is_single_sequence(sequences):
        rows = [_plain_row(row) for row in rows_of(sequences, reader, pairs=pairs)]
        refuse_padding(rows, reader)
        return SequenceInputs(rows, single=False)
    if isinstance(sequences, tuple) and reader is not None and reader.kind == "symbols":
        raise InputError(
            "a tuple of two strings is a pair of texts, and this model reads symbols; "
            "pass a list of sequences"
        )
    return SequenceInputs([sequences], single=True)


def _plain_row(row: Any) -> Any:
    """A row as a text, a list or an array, also from a tensor, a column or a scalar of pyarrow."""
    if isinstance(row, str | list | tuple) or is_table(row):
        return row
    return row.as_py() if hasattr(row, "as_py") else as_array_if_numeric(row)


def _as_series(sequences: Any, reader: SequenceReader) -> SequenceInputs:
    if is_table(sequences) and not holds_lists(sequences):
        return SequenceInputs([table_as_series(sequences)], single=True)
    sequences = as_array_if_series(sequences)
    if isinstance(sequences, np.ndarray) and sequences.ndim == 2:
        return SequenceInputs([sequences], single=True)
    rows = []
    for index, row in enumerate(rows_of(sequences, reader, pairs=False)):
        try:
            rows.append(as_array_if_numeric(row))
        except InputError as error:
            raise InputError(error.detail, sequence=index) from None
    return SequenceInputs(rows, single=False)


def lists_as_pairs(rows: list[Any], reader: SequenceReader | None) -> list[Any]:
    """The rows, with each list of two strings as a tuple, which a model of text reads as a pair.

    For heads that read pairs, because JSON and data sets store pairs as lists.
    """
    if reader is None or reader.kind != "text":
        return rows
    return [tuple(row) if _is_list_of_two_strings(row) else row for row in rows]


def _is_list_of_two_strings(row: Any) -> bool:
    return isinstance(row, list) and len(row) == 2 and all(isinstance(text, str) for text in row)


class BoundMethod(Protocol[OneOut, ManyOut, Options]):
    """A method of an object, whose result depends on the type of `sequences`."""

    @overload
    def __call__(
        self, sequences: TextOrPair, *args: Options.args, **options: Options.kwargs
    ) -> OneOut: ...
    @overload
    def __call__(
        self, sequences: list[Any], *args: Options.args, **options: Options.kwargs
    ) -> ManyOut: ...
    @overload
    def __call__(
        self, sequences: Any, *args: Options.args, **options: Options.kwargs
    ) -> OneOut | ManyOut: ...


class Method(Protocol[OneOut, ManyOut, Options]):
    """A method in its class, which an object binds."""

    @overload
    def __get__(self, instance: None, owner: Any) -> "Method[OneOut, ManyOut, Options]": ...
    @overload
    def __get__(self, instance: object, owner: Any) -> BoundMethod[OneOut, ManyOut, Options]: ...


def one_or_many(
    one: type[One], many: type[Many]
) -> Callable[[Callable[Concatenate[Owner, Any, Options], One | Many]], Method[One, Many, Options]]:
    """Declare the results of a method: `one` for a text or a pair, `many` for a list of sequences.

    For any other argument, the type is the union of both. This decorator stands for three overloads
    and changes nothing at run time.
    """
    return lambda method: cast(Any, method)

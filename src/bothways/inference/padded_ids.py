"""Refusing padded batches of ids, which other libraries make: every id counts here."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.sequences import SequenceReader, SymbolReader

__all__ = ["refuse_padding"]

_PADDING_TOKENS = ("[PAD]", "<pad>")


def refuse_padding(rows: Sequence[Any], reader: SequenceReader | None) -> None:
    """Raise if sequences of ids are all equally long, and one ends with a padding token.

    Within a sequence, a padding token is one of its tokens.

    Raises:
        InputError: naming the first such sequence, and what to pass instead.
    """
    if not rows or not _are_ids(rows[0]) or len({np.shape(row) for row in rows}) > 1:
        return
    padding = _padding_ids(reader)
    for index, row in enumerate(rows):
        if len(row) and padding.get(int(row[-1])) is not None:
            raise InputError(
                f"ends with the padding token {padding[int(row[-1])]!r}, which would count as a "
                "token; pass ids without padding, such as [ids[mask == 1] for ids, mask in "
                "zip(input_ids, attention_mask)]",
                sequence=index,
            )


def _are_ids(row: Any) -> bool:
    if isinstance(row, np.ndarray):
        return row.dtype.kind in "iu" and row.ndim == 1
    return isinstance(row, list) and bool(row) and isinstance(row[0], int)


def _padding_ids(reader: SequenceReader | None) -> dict[int, str]:
    """The padding tokens of the vocabulary, by id."""
    ids: dict[str, int | None] = {}
    if isinstance(reader, SymbolReader):
        ids = {token: reader.alphabet.ids.get(token) for token in _PADDING_TOKENS}
    elif reader is not None and reader.kind == "text":
        from bothways.sequences.text import TextReader  # imports tokenizers

        if isinstance(reader, TextReader):
            ids = {token: reader.tokenizer.token_to_id(token) for token in _PADDING_TOKENS}
    return {id_: token for token, id_ in ids.items() if id_ is not None}

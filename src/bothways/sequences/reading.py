"""Reading sequences for an encoder, with the reader of its model folder or as token ids."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.model.config import EncoderShape
from bothways.sequences.alphabet import ALPHABET_FILE
from bothways.sequences.ids import are_ids, read_ids
from bothways.sequences.reader import SequenceReader, Tokenized, type_name
from bothways.sequences.series import Series, SeriesReader

__all__ = ["read_sequences"]


def read_sequences(
    sequences: Sequence[Any] | np.ndarray,
    reader: SequenceReader | None,
    config: EncoderShape,
    *,
    prompt: str = "",
    max_length: int | None = None,
    missing: str = "",
) -> list[Tokenized]:
    """Convert sequences to the values of the encoder, with `reader` or as ids.

    Ids are used unchanged, without the prompt. Every model of tokens takes ids.
    Without a reader, it takes nothing else.

    missing: without a reader, which tokenizer the folder names, for the message.
    max_length: as in `SequenceReader.read`: of longer sequences, only the beginning may be read.

    Raises:
        InputError: names the sequence that cannot be read; also if only some are ids.
    """
    if isinstance(sequences, str):
        raise InputError("got a single str; expected a list of sequences")
    if config.input == "vectors":
        reader = reader or SeriesReader(Series.as_is(config.num_channels))
        return reader.read(sequences, prompt=prompt, max_length=max_length)
    is_ids = [are_ids(sequence) for sequence in sequences]
    if is_ids and all(is_ids):
        return read_ids(sequences, config.vocab_size)
    if reader is None:
        if not is_ids:
            return []
        index = is_ids.index(False)
        raise InputError(
            f"got {type_name(sequences[index])}, but the model folder has no tokenizer that "
            f"bothways supports{missing}; pass ids, or put an {ALPHABET_FILE} in the folder",
            sequence=index,
        )
    if any(is_ids):
        index = is_ids.index(not is_ids[0])
        raise InputError(
            f"got {type_name(sequences[index])} after {type_name(sequences[0])}; "
            "expected all sequences as ids, or none",
            sequence=index,
        )
    return reader.read(sequences, prompt=prompt, max_length=max_length)

"""Reading sequences with a reader, or as ids."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.model.config import EncoderShape
from bothways.sequences.alphabet import ALPHABET_FILE
from bothways.sequences.ids import are_ids, read_ids
from bothways.sequences.reader import SequenceReader, Tokenized, type_name
from bothways.sequences.series import Series, SeriesReader

__all__ = ["read"]


def read(
    sequences: Sequence[Any] | np.ndarray,
    reader: SequenceReader | None,
    config: EncoderShape,
    *,
    prompt: str = "",
) -> list[Tokenized]:
    """Each sequence ready for the encoder: read with `reader`, or, if they are ids, as they are.

    Any model of tokens takes ids; one without a reader takes nothing else. A prompt is not put
    before ids.

    Raises:
        InputError: naming the sequence that cannot be read, or if some are ids and some are not.
    """
    if isinstance(sequences, str):
        raise InputError("got a single str; expected a list of sequences")
    if config.input == "vectors":
        return (reader or SeriesReader(Series.as_is(config.num_channels))).read(
            sequences, prompt=prompt
        )
    given_as_ids = [are_ids(sequence) for sequence in sequences]
    if given_as_ids and all(given_as_ids):
        return read_ids(sequences, config.vocab_size)
    if reader is None:
        if not given_as_ids:
            return []
        index = given_as_ids.index(False)
        raise InputError(
            f"got {type_name(sequences[index])}, and the model folder has no tokenizer that "
            f"bothways knows; pass ids, or put an {ALPHABET_FILE} in the folder",
            sequence=index,
        )
    if any(given_as_ids):
        index = given_as_ids.index(not given_as_ids[0])
        raise InputError(
            f"got {type_name(sequences[index])} after {type_name(sequences[0])}; "
            "expected all sequences as ids, or none",
            sequence=index,
        )
    return reader.read(sequences, prompt=prompt)

"""Which reader a model folder calls for, and sequences read with it or as ids."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bothways.errors import CheckpointError, InputError
from bothways.model.config import EncoderShape
from bothways.sequences.alphabet import ALPHABET_FILE, Alphabet
from bothways.sequences.ids import are_ids, read_ids
from bothways.sequences.reader import SequenceReader, Tokenized, type_name
from bothways.sequences.series import SERIES_FILE, Series, SeriesReader
from bothways.sequences.symbols import SymbolReader

__all__ = ["open_reader", "read"]


def open_reader(
    folder: Path, config: EncoderShape, *, lowercase: bool = False
) -> SequenceReader | None:
    """The reader for a model folder; None if nothing in it says how ids are made.

    Looked for in this order: `alphabet.json`, `series.json`, `tokenizer.json`, `vocab.txt` of
    WordPiece or ESM-2, `vocab.json` with `merges.txt` of byte-pair encoding. A vocabulary whose
    algorithm the folder does not name is left alone rather than guessed at.

    lowercase: lower texts before tokenizing them.

    Raises:
        CheckpointError: if a file is malformed, does not fit the config, or needs converting first.
    """
    if config.input == "vectors":
        return _open_series(folder, config)
    if (folder / SERIES_FILE).is_file():
        raise CheckpointError(f"{folder / SERIES_FILE}: series, but the encoder's input is tokens")
    if (folder / ALPHABET_FILE).is_file():
        return _symbol_reader(Alphabet.open(folder / ALPHABET_FILE), folder, config, lowercase)
    # Here, so that models of other kinds do without the library.
    from bothways.sequences.text import TextReader
    from bothways.sequences.tokenizer_files import open_tokenizer

    tokenizer = open_tokenizer(folder, lowercase=lowercase)
    if tokenizer is None:
        return None
    if isinstance(tokenizer, Alphabet):
        return _symbol_reader(tokenizer, folder, config, lowercase)
    try:
        return TextReader(tokenizer, vocab_size=config.vocab_size, num_segments=config.num_segments)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from None


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


def _open_series(folder: Path, config: EncoderShape) -> SeriesReader:
    """Without `series.json`, values reach the encoder as they are."""
    if (folder / ALPHABET_FILE).is_file():
        raise CheckpointError(
            f"{folder / ALPHABET_FILE}: symbols, but the encoder's input is vectors"
        )
    path = folder / SERIES_FILE
    series = Series.open(path) if path.is_file() else Series.as_is(config.num_channels)
    if series.num_channels != config.num_channels:
        raise CheckpointError(
            f"{path}: {series.num_channels} channels, and the encoder has {config.num_channels}"
        )
    return SeriesReader(series)


def _symbol_reader(
    alphabet: Alphabet, folder: Path, config: EncoderShape, lowercase: bool
) -> SymbolReader:
    if len(alphabet) > config.vocab_size:
        raise CheckpointError(
            f"{folder}: the alphabet has {len(alphabet)} symbols, and the encoder's vocab_size is "
            f"{config.vocab_size}: they do not belong together"
        )
    if lowercase:
        raise CheckpointError(f"{folder}: do_lower_case is for texts, and this model reads symbols")
    return SymbolReader(alphabet)

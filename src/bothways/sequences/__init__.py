"""Sequences: text, symbols, series or ids converted to values that fit an encoder."""

from bothways.sequences.alphabet import Alphabet
from bothways.sequences.fitting import (
    FittedSequence,
    OnOverflow,
    fit_to_length,
    window_shares,
)
from bothways.sequences.ids import are_ids, read_ids
from bothways.sequences.reader import SequenceReader, Tokenized, is_single_sequence
from bothways.sequences.reading import read_sequences
from bothways.sequences.series import Series, SeriesReader
from bothways.sequences.splitters import Kmers, LongestMatch, Pattern, Separator
from bothways.sequences.symbols import SymbolReader
from bothways.sequences.words import (
    NO_POSITION,
    WordSequence,
    first_token_positions,
    join_words,
)

__all__ = [
    "NO_POSITION",
    "Alphabet",
    "FittedSequence",
    "Kmers",
    "LongestMatch",
    "OnOverflow",
    "Pattern",
    "Separator",
    "SequenceReader",
    "Series",
    "SeriesReader",
    "SymbolReader",
    "Tokenized",
    "WordSequence",
    "are_ids",
    "first_token_positions",
    "fit_to_length",
    "is_single_sequence",
    "join_words",
    "read_ids",
    "read_sequences",
    "window_shares",
]

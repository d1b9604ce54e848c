"""What goes in: text, symbols, series or ids, made ready for an encoder."""

from bothways.sequences.alphabet import Alphabet
from bothways.sequences.fitting import Fitted, OnOverflow, fit
from bothways.sequences.ids import are_ids, read_ids
from bothways.sequences.opening import open_reader, read
from bothways.sequences.reader import SequenceReader, Tokenized, is_single_sequence
from bothways.sequences.series import Series, SeriesReader
from bothways.sequences.splitters import Kmers, Longest, Pattern, Separator
from bothways.sequences.symbols import SymbolReader
from bothways.sequences.words import NO_POSITION, Words, first_token_positions, to_word_sequence

__all__ = [
    "NO_POSITION",
    "Alphabet",
    "Fitted",
    "Kmers",
    "Longest",
    "OnOverflow",
    "Pattern",
    "Separator",
    "SequenceReader",
    "Series",
    "SeriesReader",
    "SymbolReader",
    "Tokenized",
    "Words",
    "are_ids",
    "first_token_positions",
    "fit",
    "is_single_sequence",
    "open_reader",
    "read",
    "read_ids",
    "to_word_sequence",
]

"""What goes in: text, symbols, series or ids, made ready for an encoder."""

from bothways.sequences.alphabet import Alphabet
from bothways.sequences.ids import are_ids, read_ids
from bothways.sequences.opening import read
from bothways.sequences.overflow import Fitted, OnOverflow, fit
from bothways.sequences.reader import SequenceReader, Tokenized, is_one_sequence
from bothways.sequences.series import Series, SeriesReader
from bothways.sequences.splitting import Kmers, Longest, Pattern, Separator
from bothways.sequences.symbols import SymbolReader
from bothways.sequences.words import NO_POSITION, Words, as_words, first_positions

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
    "as_words",
    "first_positions",
    "fit",
    "is_one_sequence",
    "read",
    "read_ids",
]

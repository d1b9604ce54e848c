from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from bothways.sequences import Alphabet, Series, SeriesReader, SymbolReader
from bothways.sequences.text import TextReader
from bothways.sequences.token_names import token_names


def test_token_names_are_those_of_the_vocabulary() -> None:
    tokenizer = Tokenizer(WordLevel({"a": 0, "bank": 2}, unk_token="a"))  # noqa: S106
    names = token_names(TextReader(tokenizer, vocab_size=4), 4)
    assert names == ("a", "1", "bank", "3")  # ids without a token are called by their numbers


def test_symbol_names_are_those_of_the_alphabet() -> None:
    reader = SymbolReader(Alphabet(symbols=("A", "C"), case="upper"))
    assert token_names(reader, 3) == ("A", "C", "2")


def test_ids_without_a_vocabulary_have_their_numbers_as_names() -> None:
    assert token_names(None, 2) == ("0", "1")
    assert token_names(SeriesReader(Series.as_is(1)), 0) == ()

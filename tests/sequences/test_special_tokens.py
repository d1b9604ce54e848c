"""Special tokens, the mask token, and tokens that continue a word."""

from pathlib import Path

from tokenizers import Tokenizer, models

from bothways.checkpoints import read_folder
from bothways.checkpoints.readers import open_folder_reader
from bothways.sequences import Alphabet, Series, SeriesReader, SymbolReader
from bothways.sequences.special_tokens import continuing_tokens, special_tokens
from bothways.sequences.text import TextReader


def reader_of(tokens: list[str], special: list[str]) -> TextReader:
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=tokens[0]))
    tokenizer.add_special_tokens(special)
    return TextReader(tokenizer, vocab_size=len(tokens))


def test_the_special_tokens_of_a_published_tokenizer_are_found(minilm_folder: Path) -> None:
    folder = read_folder(minilm_folder)
    reader = open_folder_reader(folder.reader_path, folder.config)
    assert reader is not None
    assert special_tokens(reader) == (103, frozenset({0, 100, 101, 102, 103}))
    continues = continuing_tokens(reader)
    assert continues is not None
    assert isinstance(reader, TextReader)
    for token, expected in {"##ing": True, "river": False, "[SEP]": False}.items():
        assert continues[reader.tokenizer.token_to_id(token)] == expected


def test_the_mask_token_is_found_by_its_name() -> None:
    assert special_tokens(reader_of(["<unk>", "<MASK>", "mask"], ["<unk>", "<MASK>"])) == (
        1,
        frozenset({0, 1}),
    )
    assert special_tokens(reader_of(["<unk>", "mask"], ["<unk>"])).mask is None


def test_a_token_with_a_leading_space_begins_a_word() -> None:
    continues = continuing_tokens(reader_of(["<s>", "Ġa", "b", "Ġ##", "##"], ["<s>"]))
    assert continues is not None
    assert continues.tolist() == [False, False, True, False, True]


def test_a_vocabulary_without_word_prefixes_has_no_continuing_tokens() -> None:
    assert continuing_tokens(reader_of(["a", "b"], [])) is None
    assert continuing_tokens(SymbolReader(Alphabet.dna())) is None


def test_special_symbols_of_an_alphabet_have_ids_by_role() -> None:
    reader = SymbolReader(Alphabet(symbols=("x", "?", "<"), unknown="?", begin="<"))
    assert special_tokens(reader) == (None, frozenset({1, 2}))
    assert special_tokens(SymbolReader(Alphabet.protein())).mask == 3


def test_series_have_no_special_tokens() -> None:
    assert special_tokens(SeriesReader(Series.as_is(1))) == (None, frozenset())

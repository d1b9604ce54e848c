"""Sentences of words: joined, tokenized, and matched to their first tokens."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from bothways.errors import InputError
from bothways.sequences import Alphabet, SequenceReader, SymbolReader, fit_to_length
from bothways.sequences.text import TextReader
from bothways.sequences.words import NO_POSITION, first_token_positions, join_words

LETTERS = "abcdefgh"


@pytest.fixture(scope="module")
def reader() -> SequenceReader:
    """Word pieces of single letters, between special tokens; a control character is dropped."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{c}" for c in LETTERS)]
    vocabulary = {name: index for index, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return TextReader(tokenizer, vocab_size=len(names))


def positions(reader: SequenceReader, words: list[str], max_length: int = 512) -> list[int]:
    sequence, spans = join_words(words, reader.kind)
    fitted = fit_to_length(reader.read([sequence])[0], max_length, "truncate")
    return [int(position) for position in first_token_positions(fitted, spans)]


def test_spans_cover_the_characters_of_each_word() -> None:
    words = ["river", "a", "bank ", "日本"]
    text, spans = join_words(words, "text")
    assert spans is not None
    assert [text[start:end] for start, end in spans] == words


def test_each_word_has_the_position_of_its_first_token(reader: SequenceReader) -> None:
    assert positions(reader, ["abc", "d", "ef"]) == [1, 4, 5]


def test_words_with_spaces_and_unknown_words_have_positions(reader: SequenceReader) -> None:
    assert positions(reader, ["a b", "xyz", " c"]) == [1, 3, 4]


def test_a_word_without_tokens_has_no_position(reader: SequenceReader) -> None:
    assert positions(reader, ["\x00", "a", " ", "b", "\x01"]) == [
        NO_POSITION,
        1,
        NO_POSITION,
        2,
        NO_POSITION,
    ]


def test_a_truncated_word_has_no_position(reader: SequenceReader) -> None:
    assert positions(reader, ["abc", "de", "f"], max_length=6) == [1, 4, NO_POSITION]


def test_a_sentence_without_words_has_no_positions(reader: SequenceReader) -> None:
    assert positions(reader, []) == []


def test_words_have_positions_in_merged_windows(reader: SequenceReader) -> None:
    words = ["ab"] * 20
    sequence, spans = join_words(words, "text")
    fitted = fit_to_length(reader.read([sequence])[0], 8, "window")
    assert first_token_positions(fitted, spans).tolist() == list(range(1, 41, 2))


@settings(deadline=None)
@given(st.lists(st.text(LETTERS, min_size=1, max_size=5), max_size=8))
def test_the_first_token_of_any_word_begins_it(words: list[str]) -> None:
    alphabet = Alphabet.from_sequences([LETTERS], begin=None)
    sequence, spans = join_words(words, "text")
    fitted = fit_to_length(SymbolReader(alphabet).read([sequence])[0], 512, "error")
    positions = first_token_positions(fitted, spans)
    assert [sequence[position] for position in positions] == [word[0] for word in words]


def test_a_space_before_a_word_may_belong_to_its_token() -> None:
    names = ["a", "b", "Ġ", "Ġb"]
    vocabulary = {name: index for index, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("Ġ", "b")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False)
    reader = TextReader(tokenizer, vocab_size=len(names))
    assert positions(reader, ["a", "b", "a"]) == [0, 1, 3]


def test_each_symbol_is_a_word() -> None:
    reader = SymbolReader(Alphabet(symbols=("<", "x", "yy"), begin="<"))
    assert positions(reader, ["x", "yy", "x"]) == [1, 2, 3]


def test_a_value_that_is_not_a_word_is_refused() -> None:
    with pytest.raises(InputError, match=r"word 1 is float; expected a string"):
        join_words(["a", float("nan")], "text")  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"word 0 is empty; remove it together"):
        join_words([""], "symbols")
    with pytest.raises(InputError, match="a series has no words"):
        join_words(["a"], "series")


def test_spans_need_text() -> None:
    reader = SymbolReader(Alphabet(symbols=("x",)))
    fitted = fit_to_length(reader.read([["x"]])[0], 8, "error")
    with pytest.raises(InputError, match="words have spans only in text"):
        first_token_positions(fitted, np.zeros((1, 2), dtype=np.int64))

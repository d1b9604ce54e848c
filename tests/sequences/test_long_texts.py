"""Long texts: reading only the beginning gives what truncating the whole text would."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from bothways.errors import InputError, SequenceTooLong
from bothways.sequences import fit_to_length, long_texts
from bothways.sequences.alphabet import Alphabet
from bothways.sequences.long_texts import read_beginning, unsure_words
from bothways.sequences.splitters import Kmers, LongestMatch, Pattern, Separator
from bothways.sequences.symbols import SymbolReader
from bothways.sequences.text import TextReader

MAX_LENGTH = 8
"""Of the model in these tests. Texts of more than 2 x (8 x 8 + 1024) characters are long to it."""

SAMPLES = [
    "The river bank, unbelievable loans of 1,234.50 euros! don't we'll",
    "Straße naïve éè e\u0301\u0316 ﬁne İstanbul ΌΣΟΣ ς",
    "中文没有空格的文本日本語のテキスト 한국어 \u1112\u1161\u11ab",
    "नमस्ते दुनिया क्षत्रिय สวัสดีน้ำ العربية שלום",
    "😀👩‍👩‍👧🇩🇪🇫🇷 \u200b\u200d\ufeff — … x\u00ad",
    "[MASK] <mask> ## </s> a<mask>b   <mask>   ",
    "   \t\n\r\n   \xa0\u2003 ",
    "0123456789" * 4,
    "ｱｶﾞ ｶﾞｷﾞ № ① ½",
    "supercalifragilistic" * 6,
]
"""Scripts, forms and whitespace in which tokenizers differ."""

pieces = st.lists(
    st.one_of(st.sampled_from(SAMPLES), st.text(st.characters(codec="utf-8"), max_size=12)),
    min_size=1,
    max_size=8,
)


def trained(
    model: models.Model,
    trainer: trainers.Trainer,
    normalizer: normalizers.Normalizer | None,
    pre_tokenizer: pre_tokenizers.PreTokenizer | None,
) -> TextReader:
    """A small reader with special tokens around each text, and added tokens of two kinds."""
    tokenizer = Tokenizer(model)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train_from_iterator(SAMPLES * 3, trainer)
    tokenizer.add_special_tokens(["[CLS]", "[SEP]", AddedToken("<mask>", lstrip=True)])
    tokenizer.add_tokens([AddedToken("unbelievable loans", normalized=True), "1,2"])
    ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    return TextReader(tokenizer, vocab_size=tokenizer.get_vocab_size(), num_segments=2)


def wordpiece() -> TextReader:
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]"])
    normalizer = normalizers.BertNormalizer(lowercase=True)
    return trained(models.WordPiece(unk_token="[UNK]"), trainer, normalizer,  # noqa: S106
                   pre_tokenizers.BertPreTokenizer())  # fmt: skip


def byte_level_bpe() -> TextReader:
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet)
    return trained(models.BPE(), trainer, normalizers.NFC(), pre_tokenizers.ByteLevel())


def unigram() -> TextReader:
    trainer = trainers.UnigramTrainer(
        vocab_size=300,
        special_tokens=["<unk>"],
        unk_token="<unk>",  # noqa: S106
    )
    steps = [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    return trained(models.Unigram(), trainer, normalizers.Sequence(steps),
                   pre_tokenizers.Metaspace())  # fmt: skip


def digits_and_spaces() -> TextReader:
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["[UNK]"])
    steps = [
        pre_tokenizers.Split(Regex(r"\s+"), "merged_with_next"),
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.Punctuation(),
    ]
    normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents()])
    return trained(models.BPE(unk_token="[UNK]"), trainer, normalizer,  # noqa: S106
                   pre_tokenizers.Sequence(steps))  # fmt: skip


def without_words() -> TextReader:
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["[UNK]"])
    return trained(models.BPE(unk_token="[UNK]"), trainer, None, None)  # noqa: S106


READERS = {
    make.__name__: make()
    for make in (wordpiece, byte_level_bpe, unigram, digits_and_spaces, without_words)
}


def long_text(pieces: list[str], characters: int = 2500) -> str:
    unit = "".join(pieces) or " "
    return unit * (characters // len(unit) + 1)


@pytest.mark.parametrize("name", READERS)
@settings(deadline=None, max_examples=20)
@given(pieces=pieces, prompt=st.sampled_from(["", "query: "]))
def test_the_beginning_of_a_text_has_the_tokens_of_the_whole_text(
    name: str, pieces: list[str], prompt: str
) -> None:
    reader, text = READERS[name], long_text(pieces)
    (whole,) = reader.read([text], prompt=prompt)
    (read,) = reader.read([text], prompt=prompt, max_length=MAX_LENGTH)
    assert min(len(whole), MAX_LENGTH + 1) <= len(read) <= len(whole)
    expected = fit_to_length(whole, MAX_LENGTH, "truncate")
    fitted = fit_to_length(read, MAX_LENGTH, "truncate")
    assert fitted.windows[0].tolist() == expected.windows[0].tolist()
    assert fitted.truncated == expected.truncated
    assert fitted.tokens == expected.tokens
    np.testing.assert_equal(fitted.offsets, expected.offsets)
    assert read.prompt == whole.prompt


@pytest.mark.parametrize("name", READERS)
@settings(deadline=None, max_examples=20)
@given(pieces=pieces, end=st.integers(200, 2400), wanted=st.integers(5, 150))
def test_no_text_that_follows_changes_the_tokens_of_a_beginning(
    name: str, pieces: list[str], end: int, wanted: int
) -> None:
    reader, text = READERS[name], long_text(pieces)
    unsure = unsure_words(reader.tokenizer)
    if unsure is None:
        assert name == "without_words"
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_texts, "_first_size", lambda max_length: end)
        beginning = read_beginning(
            text * 2, reader.tokenizer.encode, max_length=wanted, unsure=unsure
        )
    if beginning is not None:
        ids = np.array(beginning.encoding.ids)[beginning.positions][:-1].tolist()
        assert len(ids) == wanted
        assert ids == reader.tokenizer.encode(text * 2).ids[:wanted]


@pytest.mark.parametrize("lengths", [(2500, 40), (40, 2500), (4000, 2500), (2500, 4000)])
@pytest.mark.parametrize("max_length", [8, 9])
def test_pairs_are_cut_as_if_both_texts_were_whole(
    lengths: tuple[int, int], max_length: int
) -> None:
    pair = tuple(long_text(SAMPLES[:1], length) for length in lengths)
    for reader in READERS.values():
        (whole,) = reader.read([pair])
        (read,) = reader.read([pair], max_length=max_length)
        expected = fit_to_length(whole, max_length, "truncate")
        fitted = fit_to_length(read, max_length, "truncate")
        assert fitted.windows[0].tolist() == expected.windows[0].tolist()
        np.testing.assert_equal(fitted.segments[0], expected.segments[0])
        assert fitted.tokens == expected.tokens
        np.testing.assert_equal(fitted.offsets, expected.offsets)


def test_little_of_a_long_text_reaches_the_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_texts, "MAX_CHARACTERS", 20_000)
    text = "a river bank " * 100_000  # longer than the limit for a whole text
    for name in ("wordpiece", "byte_level_bpe", "unigram", "digits_and_spaces"):
        (read,) = READERS[name].read([text], max_length=MAX_LENGTH)
        assert len(read) == MAX_LENGTH + 1
        assert not read.is_whole


def test_a_long_text_that_is_refused_has_more_than_the_maximum() -> None:
    (read,) = READERS["wordpiece"].read([long_text(SAMPLES[:1])], max_length=MAX_LENGTH)
    with pytest.raises(SequenceTooLong, match="more than 8 tokens, but the model takes 8"):
        fit_to_length(read, MAX_LENGTH, "error")


@pytest.mark.parametrize(
    ("name", "text", "max_length"),
    [
        ("wordpiece", "a river bank " * 2000, None),  # for windows
        ("wordpiece", "gattaca" * 4000, MAX_LENGTH),  # a single word
        ("without_words", "a river bank " * 2000, MAX_LENGTH),
    ],
)
def test_a_text_too_long_to_be_tokenized_whole_is_an_error(
    name: str, text: str, max_length: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_texts, "MAX_CHARACTERS", 20_000)
    with pytest.raises(InputError, match=f"sequence 1: {len(text):,} characters.*20,000. Split"):
        READERS[name].read(["a", text], max_length=max_length)


def test_a_lone_surrogate_in_the_beginning_of_a_long_text_is_named() -> None:
    text = "a \ud800 " + "river bank " * 500
    with pytest.raises(InputError, match="sequence 0: character 2 of the text is U"):
        READERS["wordpiece"].read([text], max_length=MAX_LENGTH)


@pytest.mark.parametrize(
    ("normalizer", "pre_tokenizer", "is_local"),
    [
        (None, pre_tokenizers.WhitespaceSplit(), True),
        (None, None, False),
        (normalizers.Replace("``", '"'), pre_tokenizers.Whitespace(), True),
        (normalizers.Replace(Regex("a+b|a"), "c"), pre_tokenizers.Whitespace(), False),
        (normalizers.Replace("x", ""), pre_tokenizers.Whitespace(), False),
        (normalizers.Replace("x", "\u0301"), pre_tokenizers.Whitespace(), False),
        (None, pre_tokenizers.Split(Regex(r"\p{L}+"), "isolated"), True),
        (None, pre_tokenizers.Split(Regex(r"\d{1,3}(?=(\d{3})*\b)"), "isolated"), False),
    ],
)
def test_only_tokenizers_that_are_known_to_see_no_farther_are_shortened(
    normalizer: normalizers.Normalizer | None,
    pre_tokenizer: pre_tokenizers.PreTokenizer | None,
    is_local: bool,
) -> None:
    tokenizer = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))  # noqa: S106
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    assert (unsure_words(tokenizer) is not None) == is_local


SPLITTINGS: list[Callable[[], Alphabet]] = [
    lambda: Alphabet(symbols=("A", "C", "G", "T", "GATT", "?"), unknown="?"),
    lambda: Alphabet(symbols=("A", "GA", "?"), unknown="?", outside="runs"),
    lambda: Alphabet(symbols=("<", "A", "GAT", "?"), begin="<", end="<", unknown="?",
                     splitting=Kmers(3)),
    lambda: Alphabet(symbols=("GATTACA", "?"), unknown="?", splitting=Separator()),
    lambda: Alphabet(symbols=("GA", "T", "?"), unknown="?", splitting=Pattern("[A-G]+|T")),
]  # fmt: skip


@pytest.mark.parametrize("make_alphabet", SPLITTINGS)
def test_the_beginning_of_a_long_string_has_its_first_symbols(
    make_alphabet: Callable[[], Alphabet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bothways.sequences.symbols._LONG_CHARACTERS", 600)
    reader = SymbolReader(make_alphabet())
    text = "GATTACA GATT CTAGX " * 400
    (whole,) = reader.read([text])
    (read,) = reader.read([text], max_length=MAX_LENGTH)
    assert not read.is_whole
    fitted, expected = (fit_to_length(t, MAX_LENGTH, "truncate") for t in (read, whole))
    assert fitted.windows[0].tolist() == expected.windows[0].tolist()
    assert fitted.tokens == expected.tokens
    np.testing.assert_equal(fitted.offsets, expected.offsets)


def test_a_string_of_symbols_too_long_to_be_read_whole_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bothways.sequences.symbols._LONG_CHARACTERS", 10)
    monkeypatch.setattr("bothways.sequences.symbols._MAX_CHARACTERS", 20)
    reader = SymbolReader(Alphabet(symbols=("A", "C"), splitting=LongestMatch()))
    with pytest.raises(InputError, match="sequence 0: 24 characters are too many"):
        reader.read(["AC" * 12])

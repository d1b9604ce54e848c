"""Rows become examples that fit, with their targets."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bothways.errors import DataFileError, UnknownTokenWarning
from bothways.sequences import (
    Alphabet,
    Separator,
    SequenceReader,
    Series,
    SeriesReader,
    SymbolReader,
)
from bothways.sequences.text import TextReader
from bothways.training.data.dataset import IGNORED
from bothways.training.data.examples import PackedExamples
from bothways.training.data.source import DataSource
from bothways.training.data.survey import survey
from bothways.training.data.tokenization import TokenizedRows, tokenize
from bothways.training.setup.vocabulary import train_tokenizer

OpenSource = Callable[..., DataSource]

LETTERS = SymbolReader(Alphabet(symbols=("<", ">", *"abcdefgh"), begin="<", end=">"))


@pytest.fixture(scope="module")
def text_reader() -> SequenceReader:
    """Every letter a token, and those within a word ##."""
    corpus = ["a b c d e f g h abcdefgh bcdefgha"] * 2
    tokenizer = train_tokenizer(lambda: corpus, size=24)
    return TextReader(tokenizer, vocab_size=tokenizer.get_vocab_size(), num_segments=2)


def tokenized(
    source: DataSource, reader: SequenceReader, *, max_length: int = 64, **options: Any
) -> TokenizedRows:
    found = survey(source, **options)
    nothing = np.zeros(found.num_rows, dtype=bool)
    return tokenize(source, found, nothing, reader, max_length=max_length, **options)


def train_of(found: TokenizedRows) -> PackedExamples:
    assert found.train is not None
    return found.train


def test_classes_and_their_places(open_source: OpenSource) -> None:
    source = open_source("classify", "x,y\nab,q\nc,p\nd,q\na,p\n", kind="symbols")
    examples = train_of(tokenized(source, LETTERS))
    assert [e.sequences[0].values.tolist() for e in examples][:2] == [[0, 2, 3, 1], [0, 4, 1]]
    assert [int(e.target) for e in examples if e.target is not None] == [1, 0, 1, 0]
    assert examples[1].place == "x.csv, row 2 (line 3)"


def test_only_the_beginning_of_a_long_text_is_tokenized_where_it_is_truncated(
    open_source: OpenSource, text_reader: SequenceReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "a b c d " * 1000
    source = open_source("classify", f"x,y\n{long},q\nc,p\nd,q\na,p\n", kind="text")
    whole = train_of(tokenized(source, text_reader, max_length=9))
    monkeypatch.setattr("bothways.sequences.long_texts.MAX_CHARACTERS", 5000)
    found = tokenized(source, text_reader, max_length=9)
    assert found.losses.truncated == 1
    for one, other in zip(train_of(found), whole, strict=True):
        assert one.sequences[0].values.tolist() == other.sequences[0].values.tolist()
    source = open_source("mlm", f"x\n{long}\n", kind="text")
    with pytest.raises(DataFileError, match=r"row 1.*8,000 characters are too many to tokenize"):
        tokenized(source, text_reader, max_length=9)


def test_held_out_rows_become_validation_examples(open_source: OpenSource) -> None:
    source = open_source("classify", "x,y\nab,q\nc,p\nd,q\na,p\n", kind="symbols")
    found = survey(source)
    held_out = np.array([False, True, True, False])
    both = tokenize(source, found, held_out, LETTERS, max_length=9)
    assert both.validation is not None
    assert [e.place for e in both.validation] == ["x.csv, row 2 (line 3)", "x.csv, row 3 (line 4)"]
    assert [len(e.sequences[0].values) for e in train_of(both)] == [4, 3]


def test_labels_of_several_are_zeros_and_ones(open_source: OpenSource) -> None:
    source = open_source("classify", "x,y\nab,p;q\nc,\nd,q\n", kind="symbols")
    examples = train_of(tokenized(source, LETTERS, separator=";"))
    targets = [e.target.tolist() for e in examples if e.target is not None]
    assert targets == [[1, 1], [0, 0], [0, 1]]


def test_numbers_in_the_order_of_their_columns(open_source: OpenSource) -> None:
    source = open_source("regress", "x,p,q\nab,1,2\nc,3,-4\n", labels=["q", "p"], kind="symbols")
    targets = [
        e.target.tolist() for e in train_of(tokenized(source, LETTERS)) if e.target is not None
    ]
    assert targets == [[2, 1], [-4, 3]]


def test_the_first_token_of_a_word_has_its_tag(
    open_source: OpenSource, text_reader: SequenceReader
) -> None:
    source = open_source("tag", "hg X\na Y\nahb X\n", "x.conll")
    (example,) = train_of(tokenized(source, text_reader))
    assert example.target is not None
    length = len(example.sequences[0].values)
    assert example.target.tolist()[:4] == [IGNORED, 0, IGNORED, 1]
    assert example.target[-1] == IGNORED
    assert (example.target != IGNORED).sum() == 3
    assert len(example.target) == length == 8


def test_words_without_a_token_are_counted(
    open_source: OpenSource, text_reader: SequenceReader
) -> None:
    rows = [{"tokens": ["a", "\u0000"], "tags": ["X", "Y"]}, {"tokens": ["\u0000"], "tags": ["X"]}]
    found = tokenized(open_source("tag", rows), text_reader)
    assert found.losses.words_without_token == 2
    assert len(train_of(found)) == 1  # the other has nothing to learn


def test_sequences_of_unknown_tokens_are_counted_with_the_place_of_the_first(
    open_source: OpenSource, text_reader: SequenceReader
) -> None:
    rows = [
        {"x": "a b", "y": "p"},
        {"x": "b a", "y": "p"},
        {"x": "\u4e00 \u4e8c a", "y": "q"},
        {"x": "\u4e00", "y": "q"},
    ]
    losses = tokenized(open_source("classify", rows), text_reader).losses
    assert losses.unknown == 2
    assert losses.first_unknown.startswith("x.jsonl, row 3")
    with pytest.warns(UnknownTokenWarning, match=r"2 sequences consist mostly of .*row 3"):
        losses.warn(max_length=8)


def test_symbols_and_positions_have_a_tag_each(open_source: OpenSource) -> None:
    symbols = open_source("tag", "x,y\nabc,HHE\n", kind="symbols")
    assert train_of(tokenized(symbols, LETTERS))[0].target.tolist() == [IGNORED, 1, 1, 0, IGNORED]  # type: ignore[union-attr]
    series = open_source("tag", [{"x": [1, 2], "tags": ["p", "q"]}])
    reader = SeriesReader(Series.as_is(1))
    assert train_of(tokenized(series, reader))[0].target.tolist() == [0, 1]  # type: ignore[union-attr]


def test_symbols_and_tags_of_unequal_number_are_an_error(open_source: OpenSource) -> None:
    source = open_source("tag", "x,y\nab,HE\nabc,HE\n", kind="symbols")
    with pytest.raises(DataFileError, match=r"row 2 \(line 3\), column 'y': 2 tags for 3 symbols"):
        tokenized(source, LETTERS)


def test_anchor_positive_and_negatives_are_sequences_of_one_example(
    open_source: OpenSource,
) -> None:
    rows = [{"anchor": "a", "positive": "bc", "negatives": "d"}, {"anchor": "e", "positive": "f"}]
    examples = train_of(tokenized(open_source("contrast", rows, kind="symbols"), LETTERS))
    assert [[len(p.values) for p in e.sequences] for e in examples] == [[3, 4, 3], [3, 3]]


def test_pairs_have_segments(open_source: OpenSource, text_reader: SequenceReader) -> None:
    source = open_source(
        "classify", "a,b,y\nc,d,1\nd,c,2\ne,f,1\nf,e,2\n", columns=["a", "b"], labels=["y"]
    )
    piece = train_of(tokenized(source, text_reader))[0].sequences[0]
    assert piece.segments is not None
    assert piece.segments.tolist() == [0, 0, 0, 1, 1]


def test_long_sequences_are_truncated_and_counted(open_source: OpenSource) -> None:
    source = open_source("classify", "x,y\nabcdefgh,q\nab,p\na,q\nb,p\n", kind="symbols")
    found = tokenized(source, LETTERS, max_length=5)
    assert found.losses.truncated == 1
    assert train_of(found)[0].sequences[0].values.tolist() == [0, 2, 3, 4, 1]


def test_long_documents_become_several_examples_that_lose_nothing(open_source: OpenSource) -> None:
    source = open_source("mlm", "abcdefgh\nab\n", "x.txt", kind="symbols")
    found = tokenized(source, LETTERS, max_length=7)
    examples = train_of(found)
    contents = [e.sequences[0].values[e.sequences[0].content].tolist() for e in examples]
    assert contents == [[2, 3, 4, 5], [6, 7, 8, 9], [2, 3]]
    assert [e.place for e in examples] == ["x.txt, row 1", "x.txt, row 1", "x.txt, row 2"]
    assert found.losses.truncated == 0


def test_tags_of_long_sequences_stay_with_their_symbols(open_source: OpenSource) -> None:
    source = open_source("tag", "x,y\nabcdefgh,ABCDEFGH\n", kind="symbols")
    for example in train_of(tokenized(source, LETTERS, max_length=5)):
        piece = example.sequences[0]
        assert example.target is not None
        assert (piece.values[piece.content] - 2).tolist() == example.target[piece.content].tolist()


def test_a_text_without_content_has_nothing_to_mask(
    open_source: OpenSource, text_reader: SequenceReader
) -> None:
    source = open_source("mlm", [{"text": "\u0000"}, {"text": "a"}])
    assert len(train_of(tokenized(source, text_reader))) == 1


def test_a_sequence_that_the_reader_refuses_is_named(open_source: OpenSource) -> None:
    source = open_source("mlm", "ab\naxb\n", "x.txt", kind="symbols")
    with pytest.raises(DataFileError, match=r"x\.txt, row 2: character 1 is 'x', which is not in"):
        tokenized(source, LETTERS)


def test_no_room_for_a_token_is_an_error(open_source: OpenSource) -> None:
    source = open_source("mlm", "abc\n", "x.txt", kind="symbols")
    with pytest.raises(DataFileError, match="row 1: max_length=2 leaves no room for a token"):
        tokenized(source, LETTERS, max_length=2)


def test_data_that_changes_meanwhile_is_an_error(
    open_source: OpenSource, write: Callable[[str, Any], str]
) -> None:
    source = open_source("mlm", "ab\ncd\n", "x.txt", kind="symbols")
    found = survey(source)
    nothing = np.zeros(2, dtype=bool)
    for content in ("ab\n", "ab\ncd\nef\n"):
        write("x.txt", content)
        with pytest.raises(
            DataFileError, match=r"had 2 rows at first and [13] now; do not change the data"
        ):
            tokenize(source, found, nothing, LETTERS, max_length=9)


def test_events_are_symbols_of_several_characters(open_source: OpenSource) -> None:
    alphabet = Alphabet.from_sequences(["log look buy"], splitting=Separator())
    source = open_source("mlm", "look look buy\n", "x.txt", kind="symbols")
    (example,) = train_of(tokenized(source, SymbolReader(alphabet)))
    assert len(example.sequences[0].values) == 5

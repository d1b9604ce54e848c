"""Sequences of symbols: ids, positions, unknown symbols, and errors that name the position."""

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways.errors import InputError
from bothways.sequences import Alphabet, Separator, SymbolReader
from bothways.sequences.alphabet import ALPHABET_FILE

SOON_SECONDS = 30
"""For a million symbols, which take about a second on a quiet core."""

LETTERS = Alphabet(symbols=("^", "$", "?", "a", "b", "ab"), begin="^", end="$", unknown="?")
STRICT = Alphabet(symbols=("a", "b", "ab"))
RUNS = Alphabet(symbols=("^", "?", "a", "b"), begin="^", unknown="?", outside="runs")


def test_ids_are_between_begin_and_end_symbols() -> None:
    (tokenized,) = SymbolReader(LETTERS).read(["abba"])
    assert tokenized.values.tolist() == [0, 5, 4, 3, 1]
    assert tokenized.tokens == ["^", "ab", "b", "a", "$"]
    assert tokenized.offsets is not None
    assert tokenized.offsets.tolist() == [[0, 0], [0, 2], [2, 3], [3, 4], [0, 0]]
    assert (tokenized.prefix, tokenized.suffix, tokenized.segments) == (1, 1, None)


@settings(deadline=None)
@given(text=st.text(alphabet="ab xé\n", max_size=40))
def test_spans_and_tokens_match_the_text(text: str) -> None:
    for alphabet in (LETTERS, RUNS):
        (tokenized,) = SymbolReader(alphabet).read([text])
        assert tokenized.offsets is not None
        for token, (start, end) in zip(tokenized.tokens, tokenized.offsets.tolist(), strict=True):
            match token:
                case "^" | "$":
                    assert start == end == 0
                case "?":
                    assert not set(text[start:end]) & set("ab")
                case symbol:
                    assert text[start:end] == symbol
        assert len(tokenized.tokens) == len(tokenized)


def test_an_unknown_symbol_replaces_each_piece_or_runs() -> None:
    assert SymbolReader(LETTERS).read(["xx a"])[0].tokens == ["^", "?", "?", "?", "a", "$"]
    (merged,) = SymbolReader(RUNS).read(["xx axé \t zb"])
    assert merged.tokens == ["^", "?", "a", "?", "?", "b"]
    assert merged.offsets is not None
    assert merged.offsets.tolist() == [[0, 0], [0, 2], [3, 4], [4, 6], [9, 10], [10, 11]]


def test_runs_are_merged_in_either_case() -> None:
    alphabet = Alphabet(symbols=("?", "A"), unknown="?", outside="runs", case="upper")
    assert SymbolReader(alphabet).read(["aAxya"])[0].tokens == ["A", "A", "?", "A"]


def test_a_list_of_symbols_is_not_split_and_has_no_spans() -> None:
    events = Alphabet(symbols=("log in", "buy"), splitting=Separator(","))
    by_list, by_text = SymbolReader(events).read([["log in", "buy"], "log in,buy"])
    assert by_list.values.tolist() == by_text.values.tolist() == [0, 1]
    assert by_list.tokens == ["log in", "buy"]
    assert by_list.offsets is None


@pytest.mark.parametrize(
    ("sequence", "named"),
    [
        ("abxa", r"character 2 is 'x', which is not in the alphabet of 3 symbols: a b ab"),
        ("ab\ud800", r"character 2 is '\\ud800'"),
        ("a b", "character 1 is ' '"),
        (["a", "ab", "x"], "item 2 is 'x'"),
        (["a", ""], "item 1 is ''"),
        (["a", 3], "item 1 is int; expected a symbol"),
        (["a", ["b"]], "item 1 is list"),
        (None, "got None; expected a string or a list of symbols"),
        (3, "got int"),
        (b"ab", "got bytes"),
        ("", "has no symbols"),
        ([], "has no symbols"),
    ],
)
def test_a_symbol_outside_the_alphabet_is_refused_with_its_position(
    sequence: Any, named: str
) -> None:
    with pytest.raises(InputError, match=f"^sequence 1: {named}") as error:
        SymbolReader(STRICT).read(["ab", sequence])
    assert error.value.sequence == 1


def test_a_kmer_outside_the_alphabet_is_refused_with_the_position_of_its_first_character() -> None:
    strict = Alphabet.dna()
    with pytest.raises(InputError, match=r"^sequence 0: character 3 is '!'"):
        SymbolReader(strict).read(["acg!t"])


def test_an_empty_sequence_is_only_special_symbols() -> None:
    for tokenized in SymbolReader(LETTERS).read(["", [], ()]):
        assert tokenized.tokens == ["^", "$"]


def test_a_special_symbol_in_a_sequence_is_read_as_that_symbol() -> None:
    for tokenized in SymbolReader(Alphabet.protein()).read(["m<mask>K", ["M", "<mask>", "k"]]):
        assert tokenized.tokens == ["<begin>", "M", "<mask>", "K", "<end>"]


def test_a_prompt_is_refused() -> None:
    reader = SymbolReader(LETTERS)
    assert reader.prompt_length("") == 0
    with pytest.raises(InputError, match="a prompt is text"):
        reader.read(["ab"], prompt="query: ")


@pytest.mark.parametrize(
    ("alphabet", "sequence"),
    [
        (Alphabet.protein(), "MKTAYIAKQR" * 100_000),
        (Alphabet.dna(6), "ACGTACGTAC" * 100_000),
        (Alphabet.smiles(), "CC(=O)NCC1" * 100_000),
        (RUNS, "xa" * 250_000 + "x" * 500_000),
    ],
    ids=["protein", "6-mers", "smiles", "runs"],
)
def test_a_million_symbols_are_read_in_linear_time(alphabet: Alphabet, sequence: str) -> None:
    start = time.monotonic()
    (tokenized,) = SymbolReader(alphabet).read([sequence])
    assert tokenized.offsets is not None
    assert time.monotonic() - start < SOON_SECONDS
    assert len(tokenized) > 500_000


def test_saving_a_reader_writes_its_alphabet(tmp_path: Path) -> None:
    SymbolReader(LETTERS).save(tmp_path)
    assert Alphabet.open(tmp_path / ALPHABET_FILE) == LETTERS

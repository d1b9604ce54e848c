"""Four rules for splitting a string: nothing is lost, and positions are right."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways.sequences.splitters import (
    Kmers,
    LongestMatch,
    Pattern,
    Separator,
    Splitting,
    from_fields,
    make_splitter,
    to_fields,
)

SPLITTINGS: list[Splitting] = [
    LongestMatch(),
    Separator(),
    Separator(", "),
    Pattern(r"Cl|[A-Z]"),
    Kmers(3),
    Kmers(6, 6),
    Kmers(4, 3),
]


@pytest.mark.parametrize("splitting", SPLITTINGS, ids=repr)
@settings(deadline=None)
@given(text=st.text(alphabet="AClB, \n\u2028é", max_size=30))
def test_every_piece_starts_where_it_says(splitting: Splitting, text: str) -> None:
    pieces, starts = make_splitter(splitting, ["A", "AB", "Cl", "ABC"])(text)
    assert len(pieces) == len(starts)
    for piece, start in zip(pieces, starts, strict=True):
        assert text[start : start + len(piece)] == piece


@pytest.mark.parametrize("splitting", [LongestMatch(), Pattern(r"Cl|[A-Z]"), Kmers(6, 6)], ids=repr)
@settings(deadline=None)
@given(text=st.text(alphabet="AClB ", max_size=30))
def test_adjacent_pieces_make_the_whole_text(splitting: Splitting, text: str) -> None:
    assert "".join(make_splitter(splitting, ["A", "AB", "Cl", "ABC"])(text)[0]) == text


@settings(deadline=None)
@given(text=st.text(alphabet="ACGT", max_size=30), k=st.integers(1, 7), data=st.data())
def test_kmers_cover_every_character(text: str, k: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, k))
    pieces, starts = make_splitter(Kmers(k, stride), ())(text)
    covered = {
        place
        for piece, start in zip(pieces, starts, strict=True)
        for place in range(start, start + len(piece))
    }
    assert covered == set(range(len(text)))
    assert {len(piece) for piece in pieces} <= {1, k}


def test_the_longest_symbol_is_taken() -> None:
    split = make_splitter(LongestMatch(), ["a", "ab", "abc", "c"])
    assert split("abcabab?c")[0] == ["abc", "ab", "ab", "?", "c"]


def test_a_separator_splits_exactly_and_the_default_at_whitespace() -> None:
    assert make_splitter(Separator(","), ())("a,,b")[0] == ["a", "", "b"]
    assert make_splitter(Separator(","), ())("") == ([], [])
    assert make_splitter(Separator("::"), ())("a::b c") == (["a", "b c"], [0, 3])
    assert make_splitter(Separator(), ())("  a \t b\n") == (["a", "b"], [2, 6])


def test_kmers_at_the_end_of_a_text() -> None:
    assert make_splitter(Kmers(3), ())("ACGTA") == (["ACG", "CGT", "GTA"], [0, 1, 2])
    assert make_splitter(Kmers(3, 3), ())("ACGTACG") == (["ACG", "TAC", "G"], [0, 3, 6])
    assert make_splitter(Kmers(3, 2), ())("ACGTAC") == (["ACG", "GTA", "C"], [0, 2, 5])
    assert make_splitter(Kmers(3), ())("AC") == (["A", "C"], [0, 1])


@pytest.mark.parametrize("splitting", SPLITTINGS, ids=repr)
def test_a_splitting_round_trips_through_its_fields(splitting: Splitting) -> None:
    assert from_fields(to_fields(splitting)) == splitting


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"by": "magic"},
        {"by": ["longest"]},
        {"by": "longest", "k": 3},
        {"by": "separator"},
        {"by": "separator", "separator": ""},
        {"by": "separator", "separator": 3},
        {"by": "pattern", "pattern": None},
        {"by": "pattern", "pattern": "(a+)+"},
        {"by": "kmers", "k": 3},
        {"by": "kmers", "k": 0, "stride": 1},
        {"by": "kmers", "k": 300, "stride": 1},
        {"by": "kmers", "k": 3, "stride": 4},
        {"by": "kmers", "k": True, "stride": 1},
        {"by": "kmers", "k": 3.0, "stride": 1},
        {"by": "kmers", "k": 3, "stride": 1, "shell": "rm"},
    ],
)
def test_malformed_splitting_fields_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected|character"):
        from_fields(fields)

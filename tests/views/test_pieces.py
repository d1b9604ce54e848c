"""The text of a sequence, split where tokens begin and end."""

import numpy as np
import pytest

from bothways.views.attend.pieces import Piece, pieces_of


def _pieces(
    text: str, spans: list[tuple[int, int]], tokens: list[str] | None = None
) -> list[Piece]:
    offsets = np.array([(0, 0), *spans, (0, 0)])
    names = ["[CLS]", *(tokens or [text[a:b] for a, b in spans]), "[SEP]"]
    added = np.array([True, *(False for _ in spans), True])
    return pieces_of(text, names, offsets, np.zeros(len(names), np.int64), added)


def test_text_between_tokens_is_kept() -> None:
    pieces = _pieces("  a  bank!", [(2, 3), (5, 9)])
    assert [(p.text, p.positions, p.kind) for p in pieces] == [
        ("[CLS]", [0], "added"),
        ("  ", [], "gap"),
        ("a", [1], "token"),
        ("  ", [], "gap"),
        ("bank", [2], "token"),
        ("!", [], "rest"),
        ("[SEP]", [3], "added"),
    ]
    assert "".join(p.text for p in pieces[1:-1]) == "  a  bank!"


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("e\u0301a", [(0, 1), (1, 2), (2, 3)]),  # an accent of its own
        ("👩\u200d💻a", [(0, 1), (1, 2), (2, 3), (3, 4)]),
        ("👍🏽a", [(0, 1), (1, 2), (2, 3)]),
        ("🇩🇪a", [(0, 1), (1, 2), (2, 3)]),
        ("कि a", [(0, 1), (1, 2), (3, 4)]),
        ("中a", [(0, 1), (0, 1), (1, 2)]),  # bytes of one character
    ],
)
def test_a_visible_character_is_never_split(text: str, spans: list[tuple[int, int]]) -> None:
    pieces = [p for p in _pieces(text, spans) if p.kind == "token"]
    assert len(pieces) == 2
    assert pieces[-1].text == "a"
    assert pieces[0].positions == list(range(1, len(spans)))


def test_two_flags_are_two_characters() -> None:
    pieces = _pieces("🇩🇪🇫🇷", [(0, 1), (1, 2), (2, 3), (3, 4)])
    assert [p.positions for p in pieces[1:-1]] == [[1, 2], [3, 4]]


def test_characters_that_mislead_are_escaped() -> None:
    pieces = _pieces("a\u202eb\nc", [(0, 3), (4, 5)])
    assert [p.text for p in pieces[1:-1]] == ["a\\u202eb", "\n", "c"]


def test_the_rest_of_a_cut_text_is_short() -> None:
    pieces = _pieces("a" + "b" * 1000, [(0, 1)])
    assert pieces[2].kind == "rest"
    assert len(pieces[2].text) == 300


def test_each_text_of_a_pair_has_its_own_offsets() -> None:
    tokens = ["[CLS]", "a", "[SEP]", "b", "c", "[SEP]"]
    offsets = np.array([(0, 0), (0, 1), (0, 0), (0, 1), (2, 3), (0, 0)])
    texts = np.array([0, 0, 0, 1, 1, 1])
    added = np.array([1, 0, 1, 0, 0, 1], dtype=bool)
    pieces = pieces_of(("a", "b c"), tokens, offsets, texts, added)
    assert [p.text for p in pieces] == ["[CLS]", "a", "[SEP]", "b", " ", "c", "[SEP]"]


def test_without_offsets_tokens_are_shown_by_name() -> None:
    pieces = pieces_of([5, 6], ["river", "bank"], None, np.zeros(2, np.int64), np.zeros(2, bool))
    assert [(p.text, p.positions, p.kind) for p in pieces] == [
        ("river", [0], "token"), ("bank", [1], "token")
    ]  # fmt: skip

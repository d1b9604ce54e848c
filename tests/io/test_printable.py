"""Characters that a file must not send to a terminal."""

import json
import sys
import unicodedata

import pytest

from bothways.io.printable import escape_in_json, printable

VISIBLE_FORMATS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd"
"""Format characters that have a glyph."""


def test_control_characters_are_escaped_and_other_characters_kept() -> None:
    assert printable("\x1b[2Jα\u3000\u00a0😀") == "\\x1b[2Jα\u3000\u00a0😀"
    assert printable("a\tb\nc\u2028d\ud800\x9b") == "a\\tb\\nc\\u2028d\\ud800\\x9b"


def test_all_control_and_format_characters_are_escaped() -> None:
    hidden = [
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        and not 0x110BD <= ord(character) <= 0x1343F  # visible, like VISIBLE_FORMATS
        and character not in VISIBLE_FORMATS
    ]
    assert [c for c in hidden if not printable(c).startswith("\\")] == []


@pytest.mark.parametrize("text", [VISIBLE_FORMATS, "שלום", "مرحبا", "e\u0301", "❤\ufe0f"])
def test_visible_text_is_kept(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    "text",
    ["می\u200cخواهم", "क्\u200dष", "👨\u200d👩\u200d👧", "❤\ufe0f\u200d🔥"],
)
def test_joiners_stay_in_words_that_need_them_and_in_emoji(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("text", ["ad\u200dmin", "\u200cمر", "مر\u200c", "👨\u200d\u200d👩"])
def test_joiners_elsewhere_are_escaped(text: str) -> None:
    escaped = text.replace("\u200c", "\\u200c").replace("\u200d", "\\u200d")
    assert printable(text) == escaped


def test_an_override_of_the_direction_is_escaped() -> None:
    assert printable("\u202eevil\u2066x\u2069") == "\\u202eevil\\u2066x\\u2069"


def test_a_json_document_with_escapes_means_the_same() -> None:
    value = {"text\u202e": "é\x7f\x9b\u2028\U000e0041👨\u200d👩\\"}
    document = escape_in_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(document) == value
    assert printable(document) == document
    assert "é" in document

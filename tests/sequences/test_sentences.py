"""Sentences by the rules of UAX 29, one case for each."""

import pytest

from bothways.sequences.sentences import sentence_spans


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        (" \n\t", []),
        ("no end", ["no end"]),
        ("One. Two! Three?  Four", ["One.", "Two!", "Three?", "Four"]),
        ("a line\r\nnext\n\nlast", ["a line", "next", "last"]),  # SB3, SB4
        ("It is 3.5 m. It is v1.2. Next", ["It is 3.5 m.", "It is v1.2.", "Next"]),  # SB6
        ("The U.S.A is far. Yes.", ["The U.S.A is far.", "Yes."]),  # SB7
        ("Rivers, etc. (and banks) flow.", ["Rivers, etc. (and banks) flow."]),  # SB8
        ("What?, he said. Wait...! No.", ["What?, he said.", "Wait...!", "No."]),  # SB8a
        ("(So it is.) “Really!” Yes.", ["(So it is.)", "“Really!”", "Yes."]),  # SB9 to SB11
        ("Go.\u0301\u200d No\u0308. A.", ["Go.\u0301\u200d", "No\u0308.", "A."]),  # SB5
        ("これは本です。あれも！そう", ["これは本です。", "あれも！", "そう"]),
        ("यह नदी है। वह तट है।", ["यह नदी है।", "वह तट है।"]),
        ("ما هذا؟ هذا نهر.", ["ما هذا؟", "هذا نهر."]),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert [text[start:end] for start, end in sentence_spans(text).tolist()] == sentences


def test_a_sentence_keeps_the_marks_of_a_new_line() -> None:
    text = "One.\n\u0301 two"
    assert [text[start:end] for start, end in sentence_spans(text).tolist()] == [
        "One.",
        "\u0301 two",
    ]

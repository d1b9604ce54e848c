"""Sentences of a text, by the rules of Unicode's UAX 29, section 5.1.

The classes of characters follow from their general categories, as Python's `unicodedata` has them,
and from lists of terminators, so that they agree with the property Sentence_Break except for rare
characters. As the rules know no abbreviations, a sentence ends after the period of "Dr. Smith".
"""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

__all__ = ["sentence_spans"]

_LETTERS: dict[str, str] = {"\r": "C", "\n": "L", "\x85": "P", "\u2028": "P", "\u2029": "P"}
"""The letter of the class of each character: C, L, P for CR, LF and Sep."""
_LETTERS |= dict.fromkeys(".\u2024\ufe52\uff0e", "a")  # ATerm
_LETTERS |= dict.fromkeys(  # STerm
    "!?\u0589\u061d\u061e\u061f\u06d4\u0700\u0701\u0702\u07f9\u0837\u0839\u083d\u083e\u0964\u0965"
    "\u104a\u104b\u1362\u1367\u1368\u166e\u1735\u1736\u17d4\u17d5\u1803\u1809\u1944\u1945\u1aa8"
    "\u1aa9\u1aaa\u1aab\u1b5a\u1b5b\u1b5e\u1b5f\u1c3b\u1c3c\u1c7e\u1c7f\u203c\u203d\u2047\u2048"
    "\u2049\u2e2e\u2e3c\u3002\ua4ff\ua60e\ua60f\ua6f3\ua6f7\ua876\ua877\ua8ce\ua8cf\ua92f\ua9c8"
    "\ua9c9\uaa5d\uaa5e\uaa5f\uaaf0\uaaf1\uabeb\ufe56\ufe57\uff01\uff1f\uff61",
    "t",
)
_LETTERS |= dict.fromkeys(  # SContinue
    ",-:;\u037e\u055d\u060c\u060d\u07f8\u1802\u1808\u2013\u2014\u3001\ufe10\ufe11\ufe13\ufe31"
    "\ufe32\ufe50\ufe51\ufe54\ufe55\ufe58\ufe63\uff0c\uff0d\uff1a\uff1b\uff64",
    "k",
)
_LETTERS |= dict.fromkeys("\"'", "c")  # Close, with the brackets and quotation marks below

_OF_CATEGORY = {
    "Ll": "l", "Lu": "u", "Lt": "u", "Lo": "o", "Lm": "o", "Nl": "o", "Nd": "n",
    "Ps": "c", "Pe": "c", "Pi": "c", "Pf": "c",
    "Mn": "x", "Mc": "x", "Me": "x", "Cf": "x", "Zs": "s", "Cc": "z",
}  # fmt: skip
"""l Lower, u Upper, o OLetter, n Numeric, c Close, x Extend and Format, s Sp; z for any other."""


class _Classes(dict[int, str]):
    """The letter of the class of each code point, for `str.translate`."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        letter = _LETTERS.get(character)
        if letter is None:
            letter = _OF_CATEGORY.get(unicodedata.category(character), "z")
            letter = "s" if letter == "z" and character.isspace() else letter
        self[code] = letter
        return letter


_classes = _Classes()

_END = re.compile(
    r"""
      CL | [CLP]                                    # SB3, SB4: paragraphs
    | t c*+ s*+ (?: CL | [CLP] | (?![kat]) )        # SB8a to SB11
    | a (?!n)                                       # SB6: 3.5
        (?! (?<=[ul]a) u )                          # SB7: U.S
        c*+ s*+ (?: CL | [CLP]
                  | (?![kat])                       # SB8a
                    (?! [^oulCLPat]*+ l ) )         # SB8: etc. and so on
    """,
    re.VERBOSE,
)
"""The end of a sentence, in a string of classes without Extend and Format."""


def sentence_spans(text: str) -> np.ndarray:
    """The characters of each sentence, without the white space around it, int64 (n, 2).

    A sentence is `text[start:end]`. White space alone is no sentence.
    """
    classes = text.translate(_classes)
    # SB5: Extend and Format belong to the character before them, if that does not end a paragraph.
    starts: Sequence[int] = range(len(text) + 1)
    if "x" in classes:
        kept = [m.start() for m in re.finditer(r"[^x]|(?<![^CLP])x", classes)]
        classes = "".join([classes[i] for i in kept]).replace("x", "z")
        starts = [*kept, len(text)]
    ends = [starts[match.end()] for match in _END.finditer(classes)]
    spans, start = [], 0
    for end in [*ends, len(text)]:
        sentence = text[start:end]
        if stripped := sentence.strip():
            first = start + len(sentence) - len(sentence.lstrip())
            spans.append((first, first + len(stripped)))
        start = end
    return np.array(spans, dtype=np.int64).reshape(-1, 2)

"""Escapes for text from files that is printed: it must not control the terminal, nor mislead."""

import re

__all__ = ["escape_in_json", "printable"]

_JOINED = "\u0600-\u1fff\u2100-\ud7ff\uf900-\ufe0f\U00010000-\U000dffff"
"""Characters that a joiner may stand between: of scripts from Arabic on, and emoji."""

_UNPRINTABLE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters
    "\xad\u061c\u180e\u200b\u200e\u200f"  # soft hyphen, zero width, marks of direction
    "\u2028-\u202e\u2060-\u206f"  # line separators, overrides and isolates of direction
    "\ud800-\udfff\ufeff\ufff9-\ufffb"  # lone surrogates, byte order mark, annotations
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"  # other invisible ones
    "]"
    f"|(?<![{_JOINED}])[\u200c\u200d]|[\u200c\u200d](?![{_JOINED}])"
)


def printable(text: str) -> str:
    r"""Escape line breaks and all characters that control a terminal or are invisible.

    These are Unicode's control and format characters, such as overrides of the direction of text.
    The two joiners (U+200C, U+200D) stay within words of scripts that need them and within emoji.

    >>> print(printable("a\tb\u202ec"))
    a\tb\u202ec
    """
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def escape_in_json(document: str) -> str:
    r"""Escape the same characters in a JSON document without line breaks; it means the same.

    >>> print(escape_in_json('{"text": "a\u202eb"}'))
    {"text": "a\u202eb"}
    """
    return _UNPRINTABLE.sub(lambda match: _json_escape(match[0]), document)


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))

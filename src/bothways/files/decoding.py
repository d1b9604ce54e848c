r"""Decoding lines of UTF-8 text, which end with \n or \r\n only.

`str.splitlines` also breaks at \x0b, \x0c, \x1c to \x1e, NEL, U+2028 and U+2029. Here they are part
of the text, so that row numbers agree with those of other programs.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Literal

from bothways.errors import DataFileError

__all__ = [
    "NotUtf8",
    "check_decoded",
    "decode_lines",
    "detect_encoding",
    "guess_encoding",
    "strip_newline",
]

_BOM = codecs.BOM_UTF8
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
_GUESS_BYTES = 1000
_BOMS = (  # that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GUESSES = (
    ("windows-1251", re.compile("[\u0430-\u044f]"), 0.6),  # small Cyrillic letters
    ("koi8-r", re.compile("[\u0430-\u044f]"), 0.6),
    ("shift_jis", re.compile("[\u3040-\u30ff]"), 0.3),  # kana, among ideographs
    ("euc_jp", re.compile("[\u3040-\u30ff]"), 0.3),
    ("euc_kr", re.compile("[\uac00-\ud7a3]"), 0.9),  # Hangul syllables
    ("gb18030", re.compile("[\u4e00-\u9fff]"), 0.6),  # ideographs
    ("big5", re.compile("[\u4e00-\u9fff]"), 0.6),
)
"""Encodings of scripts that are not Latin: characters of the script, and the least share of them
among those that are not ASCII."""


class NotUtf8(DataFileError):
    """A text has a byte that is not UTF-8."""


def check_decoded(text: str, where: object) -> None:
    """Raise if a text has a byte that `decode_lines` decoded to a lone surrogate.

    Raises:
        NotUtf8: with the first such byte.
    """
    wrong = None if text.isascii() else _ESCAPED_BYTE.search(text)
    if wrong is not None:
        raise NotUtf8(
            f"{where}: byte 0x{ord(wrong[0]) - 0xDC00:02x} is not valid UTF-8; give the encoding "
            "of the file with --encoding, or save the file as UTF-8"
        )


def detect_encoding(head: bytes) -> str | None:
    """The encoding of a file that begins with the byte order mark of UTF-16 or UTF-32."""
    return next((name for mark, name in _BOMS if head.startswith(mark)), None)


def decode_lines(
    lines: Iterable[bytes], name: str, errors: Literal["strict", "surrogateescape"] = "strict"
) -> Iterator[str]:
    """Decode lines, with their line ends; a byte order mark at the start is skipped.

    errors: `surrogateescape` to decode a byte that is not UTF-8 to a lone surrogate (PEP 383).

    Raises:
        DataFileError: at the first byte that is not UTF-8, with its offset after decompression, and
            a guess at the encoding.
    """
    offset = 0
    for number, line in enumerate(lines, 1):
        skipped = len(_BOM) if number == 1 and line.startswith(_BOM) else 0
        try:
            text = line[skipped:].decode("utf-8", errors)
        except UnicodeDecodeError as error:
            at = skipped + error.start
            raise DataFileError(
                f"{name}, line {number}: byte 0x{line[at]:02x} at offset {offset + at} is not "
                f"valid UTF-8; {_suggest_encoding(line, at)}, or save the file as UTF-8"
            ) from error
        offset += len(line)
        if text:
            yield text


def _suggest_encoding(line: bytes, invalid: int) -> str:
    guess = guess_encoding(line[max(0, invalid - _GUESS_BYTES) : invalid + _GUESS_BYTES])
    if guess is None:
        return "give its encoding with --encoding (in Python, encoding=)"
    return f"the text looks like {guess}: if it is, give --encoding {guess} (in Python, encoding=)"


def guess_encoding(text: bytes) -> str | None:
    """The probable encoding of a text that is not UTF-8; None if there is none.

    Few bytes above 127 among letters are those of a western European code page. Otherwise most
    characters must be of the script that the encoding is for.
    """
    if text.count(0) * 4 >= len(text):
        return "utf-16-le" if not any(text[1:20:2]) else "utf-16-be"
    high = sum(byte > 127 for byte in text)
    letters = high + sum(byte < 128 and chr(byte).isalpha() for byte in text)
    if high * 2 <= letters:
        return "windows-1252" if _decode(text, "windows-1252") else None
    for encoding, script, share in _GUESSES:
        foreign = [c for c in _decode(text, encoding) or "" if ord(c) > 127]
        if foreign and sum(map(bool, map(script.match, foreign))) >= share * len(foreign):
            return encoding
    return None


def _decode(text: bytes, encoding: str) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(text)  # the end may be cut
    except UnicodeDecodeError:
        return None


def strip_newline(line: str) -> str:
    r"""The line without its final \n or \r\n."""
    if line.endswith("\n"):
        return line[:-2] if line.endswith("\r\n") else line[:-1]
    return line

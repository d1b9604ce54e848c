r"""Decoding lines of UTF-8 text, which end with \n or \r\n only.

`str.splitlines` also breaks at \x0b, \x0c, \x1c to \x1e, NEL, U+2028 and U+2029. Here they are part
of the text, so that row numbers agree with those of other programs.
"""

from collections.abc import Iterable, Iterator

from bothways.errors import DataFileError

__all__ = ["decode_lines", "strip_newline"]

_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def decode_lines(lines: Iterable[bytes], name: str) -> Iterator[str]:
    """Decode lines, with their line ends; a byte order mark at the start is skipped.

    Raises:
        DataFileError: at the first byte that is not UTF-8, with its offset after decompression.
    """
    offset = 0
    for number, line in enumerate(lines, 1):
        skipped = len(_BOM) if number == 1 and line.startswith(_BOM) else 0
        try:
            text = line[skipped:].decode("utf-8") if skipped else line.decode("utf-8")
        except UnicodeDecodeError as error:
            at = offset + skipped + error.start
            hint = "it looks like UTF-16; " if offset == 0 and line.startswith(_UTF_16) else ""
            raise DataFileError(
                f"{name}, line {number}: byte 0x{line[skipped + error.start]:02x} at offset {at} "
                f"is not valid UTF-8; {hint}save the file as UTF-8"
            ) from error
        offset += len(line)
        if text:
            yield text


def strip_newline(line: str) -> str:
    r"""The line without its final \n or \r\n."""
    if line.endswith("\n"):
        return line[:-2] if line.endswith("\r\n") else line[:-1]
    return line

"""What standard output and error do with characters that their encoding lacks."""

import codecs
import io
import sys

__all__ = ["escape_unencodable"]

_NAME = "bothways.escape"
"""The name of `_escape` among the error handlers of codecs."""


def escape_unencodable() -> None:
    """Escape the characters that the encoding of standard output or error does not have.

    Encodings come from the locale: code page 1252, Latin-1, ASCII. Python would raise an error.
    """
    codecs.register_error(_NAME, _escape)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_NAME)


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """Escape what cannot be encoded; bytes of file names that are no text stay these bytes."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)

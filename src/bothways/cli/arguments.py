"""Arguments of the command line that are texts."""

import os

__all__ = ["decode_text"]


def decode_text(argument: str) -> str:
    """An argument that is a text: in UTF-8, also where the locale has another encoding.

    Paths stay as they are: Python encodes them as it decoded them.
    """
    try:
        argument.encode()
    except UnicodeEncodeError:  # bytes that Python could not decode in the locale's encoding
        return os.fsencode(argument).decode("utf-8", "surrogateescape")
    return argument

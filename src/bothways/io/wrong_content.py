"""Files that are something else than their name says, recognized by their first bytes."""

import re

__all__ = ["wrong_content"]

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/.*?\nsize (\d{1,15})\n", re.DOTALL
)

_STARTS = {
    b"GGUF": "a GGUF file of llama.cpp; load the folder of safetensors that it was converted from",
    b"\x89HDF": "an HDF5 file, as TensorFlow writes it; load the folder in the format of torch",
    b"<!doctype html": "a web page; download the file itself",
    b"<html": "a web page; download the file itself",
}


def wrong_content(start: bytes) -> str | None:
    """What a file is that begins with these bytes, and what to do; None if nothing looks wrong.

    For files that are read as text, JSON or safetensors.
    """
    if pointer := _POINTER.match(start[:1024]):
        return (
            f"a Git LFS pointer to a file of {int(pointer[1]):,} bytes, not the file itself; run "
            "`git lfs pull` in its repository, or download the file again"
        )
    head = start[:64].lstrip().lower()
    return next((what for mark, what in _STARTS.items() if head.startswith(mark.lower())), None)

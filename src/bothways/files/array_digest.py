"""Digests that tie a file of vectors to the file with its origin."""

import hashlib
from typing import BinaryIO

import numpy as np

__all__ = ["ArrayDigest", "hash_file", "hash_samples"]

_STRIDE = 1 << 18  # bytes from the start of one sample to the next
_SAMPLE = 1 << 12  # bytes of each sample
_CHUNK = 1 << 20  # bytes


class ArrayDigest:
    """SHA-256 of an array's bytes, and of samples of them: the first 4 KiB of each 256 KiB.

    The samples of a large file are quick to read. They differ wherever another model, pooling or
    prompt made the vectors, because those change every row.
    """

    def __init__(self) -> None:
        self._all, self._samples = hashlib.sha256(), hashlib.sha256()
        self._size = 0

    def update(self, array: np.ndarray) -> None:
        """Add the bytes of a contiguous array."""
        data = array.reshape(-1).view(np.uint8).data
        self._all.update(data)
        end = self._size + len(data)
        for start in range(self._size // _STRIDE * _STRIDE, end, _STRIDE):
            first = max(0, start - self._size)
            self._samples.update(data[first : max(first, start + _SAMPLE - self._size)])
        self._size = end

    @property
    def sha256(self) -> str:
        """Of all bytes, in hexadecimal."""
        return self._all.hexdigest()

    @property
    def sample_sha256(self) -> str:
        """Of the samples, in hexadecimal."""
        return self._samples.hexdigest()


def hash_file(file: BinaryIO, start: int) -> str:
    """`ArrayDigest.sha256` of the bytes of `file` from `start` on."""
    digest = hashlib.sha256()
    file.seek(start)
    while data := file.read(_CHUNK):
        digest.update(data)
    return digest.hexdigest()


def hash_samples(file: BinaryIO, start: int) -> str:
    """`ArrayDigest.sample_sha256` of the bytes of `file` from `start` on."""
    digest = hashlib.sha256()
    file.seek(start)
    while data := file.read(_SAMPLE):
        digest.update(data)
        start += _STRIDE
        file.seek(start)
    return digest.hexdigest()

"""What is known of the texts that a shard has more than once."""

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from bothways.inference.vectors import SequenceVectors

__all__ = ["TextCache", "digest_of", "gather_vectors"]


Value = TypeVar("Value")


class TextCache(dict[bytes, Value]):
    """A value of each text, by digest: of the first `most` of a shard, and all of a chunk."""

    def __init__(self, most: int | None) -> None:
        self._most = most

    def forget(self) -> None:
        """Drop the values that are beyond the limit, at the end of a chunk."""
        if self._most is not None:
            for key in list(self)[self._most :]:
                del self[key]


def digest_of(value: Any) -> bytes:
    """A digest of a sequence."""
    if isinstance(value, np.ndarray):
        content = f"{value.dtype}{value.shape}".encode() + value.tobytes()
    elif isinstance(value, str):
        content = b"s" + value.encode("utf-8", "surrogatepass")
    else:
        content = b"l" + json.dumps(value).encode()
    return hashlib.blake2b(content, digest_size=16).digest()


def gather_vectors(
    places: "Sequence[tuple[SequenceVectors, int]]", dimensions: int
) -> "SequenceVectors":
    """The vectors at these places: results, and the index in each."""
    from bothways.inference.vectors import SequenceVectors

    def column(name: str) -> np.ndarray:
        return np.array([getattr(vectors, name)[i] for vectors, i in places])

    vectors = np.empty((len(places), dimensions), np.float32)
    for index, (source, i) in enumerate(places):
        vectors[index] = source.vectors[i]
    return SequenceVectors(
        vectors,
        column("num_tokens").astype(np.int64),
        column("truncated").astype(bool),
        column("num_unknown").astype(np.int64),
        column("mostly_unknown").astype(bool),
    )

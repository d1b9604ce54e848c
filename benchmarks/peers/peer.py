"""The interface of all contenders, and the padded batches that most of them share.

B sequences of a batch, L positions of its longest, D width of a vector.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, Protocol, runtime_checkable

import numpy as np

__all__ = [
    "PADDED_SETTINGS",
    "PaddedPeer",
    "Peer",
    "Run",
    "Setting",
    "TextPeer",
    "mean_pool",
    "pad",
    "to_unit_length",
]


@dataclasses.dataclass(frozen=True)
class Setting:
    """How sequences are batched, and the number of parallel batches.

    size, unit: maximum size of a batch, in sequences, tokens, or tokens with padding.
    streams: number of batches that are computed in parallel; they share the threads.
    """

    size: int
    unit: Literal["sequences", "padded tokens", "tokens"]
    streams: int = 1

    def __str__(self) -> str:
        parallel = f", {self.streams} in parallel" if self.streams > 1 else ""
        return f"{self.size} {self.unit}{parallel}"


class Peer(Protocol):
    """A library with `minilm` loaded."""

    settings: tuple[Setting, ...]
    """Candidate settings; the first is used for latency, and without tuning."""

    def encode_ids(self, ids: Sequence[np.ndarray], setting: Setting) -> np.ndarray:
        """Encode ids, (length,) each, into unit vectors, float32 (n, D), in the same order."""


@runtime_checkable
class TextPeer(Protocol):
    """A library with its own tokenization, which encodes texts and no ids."""

    def encode_texts(self, texts: list[str], max_length: int, setting: Setting) -> np.ndarray:
        """Encode texts, cut to `max_length` tokens, into unit vectors, float32 (n, D)."""


Run = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Maps ids and mask, both int64 (B, L), to pooled vectors (B, D), not normalized."""

PADDED_SETTINGS = tuple(
    Setting(size, "padded tokens", streams) for streams in (1, 2) for size in (512, 256, 1024, 2048)
)


class PaddedPeer:
    """A peer that sorts sequences by length, and pads each batch to its longest sequence.

    open_run: returns a function that encodes a batch, given the number of parallel batches.
    """

    def __init__(
        self, open_run: Callable[[int], Run], settings: tuple[Setting, ...] = PADDED_SETTINGS
    ) -> None:
        self.settings = settings
        self._open_run = open_run
        self._runs: dict[int, Run] = {}

    def encode_ids(self, ids: Sequence[np.ndarray], setting: Setting) -> np.ndarray:
        """See `Peer.encode_ids`."""
        if setting.streams not in self._runs:
            self._runs = {
                setting.streams: self._open_run(setting.streams)
            }  # keeps a single model in memory
        run = self._runs[setting.streams]
        batches = list(_plan([len(i) for i in ids], setting))

        def encode(batch: np.ndarray) -> np.ndarray:
            return run(*pad([ids[i] for i in batch]))

        if setting.streams == 1:
            vectors = [encode(batch) for batch in batches]
        else:
            with ThreadPoolExecutor(setting.streams) as pool:
                vectors = list(pool.map(encode, batches))
        out = np.empty((len(ids), vectors[0].shape[1]), np.float32)
        out[np.concatenate(batches)] = np.concatenate(vectors)
        return to_unit_length(out)


def mean_pool(hidden_BLD: np.ndarray, mask_BL: np.ndarray) -> np.ndarray:
    """The mean over positions that are not padding."""
    weights = mask_BL.astype(np.float32)
    weights /= weights.sum(axis=1, keepdims=True)
    pooled: np.ndarray = np.matmul(weights[:, None], hidden_BLD)[:, 0]
    return pooled


def to_unit_length(vectors: np.ndarray) -> np.ndarray:
    """Divide each row by its Euclidean norm."""
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _plan(lengths: Sequence[int], setting: Setting) -> Iterator[np.ndarray]:
    """Indices of the sequences of each batch, longest first."""
    order = np.argsort(-np.asarray(lengths), kind="stable")
    start = 0
    while start < len(order):
        longest = lengths[order[start]]
        per_batch = setting.size if setting.unit == "sequences" else setting.size // longest
        stop = start + max(1, per_batch)
        yield order[start:stop]
        start = stop


def pad(ids: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Ids and mask, both int64 (B, L), of sequences padded to the longest."""
    shape = len(ids), max(len(i) for i in ids)
    padded, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, own in enumerate(ids):
        padded[row, : len(own)] = own
        mask[row, : len(own)] = 1
    return padded, mask

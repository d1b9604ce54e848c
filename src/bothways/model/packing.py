"""Packed batches: the tokens of several sequences end to end, and their lengths, without padding.

Everything except attention works on single tokens, so nothing is computed for padding. Batches are
planned by their number of tokens, from sequences sorted by length.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import assert_never

import numpy as np

from bothways.errors import InputError
from bothways.model.shape import EncoderShape

__all__ = [
    "DEFAULT_MAX_TOKENS",
    "PackedBatch",
    "check_all_keys",
    "check_batch",
    "check_skip",
    "plan_batches",
]

DEFAULT_MAX_TOKENS = 4096
"""Tokens of a batch unless the caller sets another limit.

Measured with the torch backend on one core with 32 MiB of L3 cache: at d_model 384 a limit of 4,096
is fastest, at 768 a limit of 2,048, each by less than 10 %. 1,024 is 11 % and 2 % slower, 16,384
12 % and 29 %, because activations no longer fit the cache. GPUs benefit from larger batches.
"""


@dataclasses.dataclass(frozen=True)
class PackedBatch:
    """B sequences with T tokens altogether, end to end.

    values: token ids, int64 (T,), or vectors, float32 (T, C).
    lengths: int64 (B,), each at least 1; their sum is T.
    segments: segment ids, int64 (T,), or None if all are 0.
    content: whether `mean_content` pools each token, bool (T,); None if it pools all.
    num_keys: the first positions of each sequence, at least 1, which all its positions attend to,
        int64 (B,); the others attend and are not attended to. None for all positions.
    """

    values: np.ndarray
    lengths: np.ndarray
    segments: np.ndarray | None = None
    content: np.ndarray | None = None
    num_keys: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        sequences: Sequence[np.ndarray],
        segments: Sequence[np.ndarray | None] | None = None,
        content: Sequence[np.ndarray] | None = None,
    ) -> "PackedBatch":
        """Pack sequences of ids (length,) or vectors (length, channels).

        Raises:
            InputError: if there are no sequences, or one is empty.
        """
        lengths_B = [len(sequence) for sequence in sequences]
        if not lengths_B or not all(lengths_B):
            raise InputError(
                "a packed batch needs at least one sequence, each of at least one token"
            )
        lengths = np.array(lengths_B, dtype=np.int64)
        values = np.concatenate(sequences)
        values = values.astype(np.int64 if values.ndim == 1 else np.float32, copy=False)
        content_T = None if content is None else np.concatenate(content)
        if segments is None or all(segment is None for segment in segments):
            return cls(values, lengths, content=content_T)
        filled = [
            np.zeros(length, np.int64) if segment is None else segment
            for segment, length in zip(segments, lengths, strict=True)
        ]
        segments_T = np.concatenate(filled).astype(np.int64, copy=False)
        return cls(values, lengths, segments_T, content_T)

    @property
    def num_tokens(self) -> int:
        """T: the number of tokens of all sequences."""
        return len(self.values)

    @property
    def starts(self) -> np.ndarray:
        """Index of each sequence's first token, int64 (B,)."""
        starts: np.ndarray = np.cumsum(self.lengths) - self.lengths
        return starts

    def split(self, per_token: np.ndarray) -> list[np.ndarray]:
        """Split an array with one row per token into one array per sequence."""
        return np.split(per_token, np.cumsum(self.lengths)[:-1])


def check_batch(batch: PackedBatch, config: EncoderShape) -> None:
    """Raise unless the encoder accepts every value of `batch`; backends call this first.

    Raises:
        InputError: naming the sequence of the batch, the position, and the accepted values.
    """
    if (longest := max(batch.lengths.tolist())) > config.max_length:
        raise InputError(
            f"a sequence has {longest} positions; the encoder takes at most {config.max_length}"
        )
    match config.input:
        case "tokens":
            if batch.values.ndim != 1:
                raise InputError(f"got vectors {batch.values.shape}; the encoder takes token ids")
            _check_ids(batch, batch.values, config.vocab_size, "id", "vocab_size")
        case "vectors":
            if batch.values.ndim != 2 or batch.values.shape[1] != config.num_channels:
                raise InputError(
                    f"got values of shape {batch.values.shape}; "
                    f"the encoder takes vectors (length, {config.num_channels})"
                )
            if not np.isfinite(batch.values).all():
                token = int(np.argwhere(~np.isfinite(batch.values))[0, 0])
                raise InputError(f"{_place(batch, token)}: NaN or infinity")
        case unknown:
            assert_never(unknown)
    if (
        batch.num_keys is not None
        and not ((batch.num_keys >= 1) & (batch.num_keys <= batch.lengths)).all()
    ):
        raise InputError(f"num_keys={batch.num_keys.tolist()}: expected 1 to the length of each")
    if batch.segments is not None:
        _check_ids(batch, batch.segments, max(config.num_segments, 1), "segment", "num_segments")


def check_all_keys(batch: PackedBatch) -> None:
    """Raise if some positions of a batch are not attended to, which only hidden states support.

    Raises:
        InputError: if `num_keys` is given.
    """
    if batch.num_keys is not None:
        raise InputError("num_keys: only hidden_states of Transformers supports fewer keys")


def check_skip(batch: PackedBatch, skip: int) -> None:
    """Raise unless every sequence has a position left after its first `skip` positions.

    Raises:
        InputError: naming the first sequence of the batch that is too short.
    """
    if skip < 0:
        raise InputError(f"skip={skip}: expected at least 0")
    if min(batch.lengths.tolist()) <= skip:
        sequence = int(np.argmax(batch.lengths <= skip))
        raise InputError(
            f"sequence {sequence} of the batch: {batch.lengths[sequence]} positions, and pooling "
            f"skips the first {skip}; none is left"
        )


def plan_batches(lengths: Sequence[int] | np.ndarray, max_tokens: int) -> Iterator[np.ndarray]:
    """Indices of the sequences of each batch, at most `max_tokens` tokens each, longest first.

    A sequence longer than `max_tokens` gets its own batch. Every index occurs exactly once.
    Neighbors in a batch have similar lengths, which makes groups of equal length large. Because the
    longest come first, a machine with too little memory fails at once, and the remaining time is
    never underestimated.

    >>> [batch.tolist() for batch in plan_batches([3, 9, 4, 3], max_tokens=10)]
    [[1], [2, 0, 3]]
    """
    by_index = np.asarray(lengths).tolist()
    batch: list[int] = []
    tokens = 0
    for index in sorted(range(len(by_index)), key=by_index.__getitem__, reverse=True):
        length = by_index[index]
        if batch and tokens + length > max_tokens:
            yield np.array(batch)
            batch, tokens = [], 0
        batch.append(index)
        tokens += length
    if batch:
        yield np.array(batch)


def _check_ids(batch: PackedBatch, ids: np.ndarray, limit: int, noun: str, field: str) -> None:
    # As unsigned integers, negative ids are above every limit: one pass instead of two.
    if ids.size and ids.astype(np.uint64).max() >= limit:
        token = int(np.argwhere((ids < 0) | (ids >= limit))[0, 0])
        raise InputError(
            f"{_place(batch, token)}: {noun} {ids[token]}; "
            f"expected at least 0 and below {field}={limit}"
        )


def _place(batch: PackedBatch, token: int) -> str:
    ends = np.cumsum(batch.lengths)
    sequence = int(np.searchsorted(ends, token, side="right"))
    return f"sequence {sequence}, position {token - int(batch.starts[sequence])}"

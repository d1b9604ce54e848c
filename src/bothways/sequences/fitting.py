"""Sequences longer than the model: refused, cut, or encoded in overlapping windows.

L positions of a sequence, l of one window; D width of a vector.
"""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Literal, assert_never

import numpy as np

from bothways.errors import InputError, SequenceTooLong
from bothways.sequences.reader import Tokenized

__all__ = ["Fitted", "OnOverflow", "fit"]

OnOverflow = Literal["error", "truncate", "window"]

OVERLAP = 0.25
"""Share of a window's content that the next one repeats: at the seam, each token still has an
eighth of a window beside it, for a third more work."""


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """A sequence in pieces that the model can take.

    tokenized: the sequence as it was read.
    pieces: values of each piece, ids (l,) or vectors (l, C); one, if the sequence fits.
    segments: segment ids of each piece, or None.
    truncated: whether tokens were left out.
    places: for each piece, the positions of the sequence that it holds, int64 (l,); None for all.
    """

    tokenized: Tokenized
    pieces: list[np.ndarray]
    segments: list[np.ndarray | None]
    truncated: bool
    places: list[np.ndarray] | None = None

    @cached_property
    def positions(self) -> np.ndarray:
        """The positions of the sequence that `merge` gives vectors for, in order, int64."""
        if self.truncated and self.places is not None:
            return self.places[0]
        return np.arange(len(self.tokenized))

    @property
    def num_tokens(self) -> int:
        """How many vectors `merge` gives."""
        return len(self.pieces[0]) if len(self.pieces) == 1 else len(self.tokenized)

    @property
    def tokens(self) -> list[str]:
        """The token at each merged position."""
        tokens = self.tokenized.tokens
        return [tokens[position] for position in self.positions] if self.truncated else tokens

    @property
    def offsets(self) -> np.ndarray | None:
        """Character spans of each merged position, int64 (L, 2), as in `Tokenized`."""
        offsets = self.tokenized.offsets
        return offsets if offsets is None or not self.truncated else offsets[self.positions]

    def merge(self, vectors: Sequence[np.ndarray]) -> np.ndarray:
        """From the vectors (..., l, D) of each piece to those of the sequence, (..., L, D).

        A position in several windows gets the mean of its vectors, each weighted by one more than
        the number of tokens between it and the nearer cut of its window, for near a cut a token has
        seen less of its neighbors. The tokens that every window has (special tokens and prompt)
        get the plain mean. A position in one window only keeps its vector, bit for bit.
        """
        if len(vectors) != len(self.pieces):
            raise ValueError(f"{len(vectors)} arrays of vectors for {len(self.pieces)} pieces")
        if len(self.pieces) == 1 or self.places is None:
            return vectors[0]
        head, suffix = _frame(self.tokenized)
        contents = [places[head : len(places) - suffix] for places in self.places]
        weights = [self._weights(content) for content in contents]
        total_L = np.zeros(len(self.tokenized))
        for content, weight in zip(contents, weights, strict=True):
            total_L[content] += weight
        *leading, length, width = vectors[0].shape
        merged = np.zeros((*leading, len(self.tokenized), width), dtype=vectors[0].dtype)
        frame = np.zeros((*leading, head + suffix, width))  # float64: a sum over all windows
        in_frame = [*range(head), *range(length - suffix, length)]
        for content, weight, piece in zip(contents, weights, vectors, strict=True):
            share = (weight / total_L[content]).astype(piece.dtype)
            merged[..., content, :] += piece[..., head : length - suffix, :] * share[:, None]
            frame += piece[..., in_frame, :]
        merged[..., [*range(head), *range(-suffix, 0)], :] = frame / len(vectors)
        return merged

    def _weights(self, content: np.ndarray) -> np.ndarray:
        """For each position of a window's content, 1 + its distance from the nearer cut."""
        head, suffix = _frame(self.tokenized)
        from_start = np.arange(1.0, len(content) + 1)
        from_end = from_start[::-1].copy()
        if content[0] == head:  # the sequence begins here: no cut
            from_start[:] = np.inf
        if content[-1] == len(self.tokenized) - suffix - 1:
            from_end[:] = np.inf
        weights: np.ndarray = np.minimum(from_start, from_end)
        return weights


def fit(
    tokenized: Tokenized, max_length: int, on_overflow: OnOverflow, *, index: int | None = None
) -> Fitted:
    """Make a sequence fit a model of `max_length` positions.

    error: raise if it is longer.
    truncate: keep the special tokens around it, and as much of the beginning of the content as
        fits. Of a pair, the longer text is cut until they are equal, then both.
    window: cut the content into windows that overlap, the special tokens and the prompt around
        each. The last window ends where the sequence ends, so that all are full.

    index: of the sequence in the caller's list, for messages.

    Raises:
        SequenceTooLong: if it is longer and `on_overflow` is `error`.
        InputError: if `max_length` leaves no room beside the special tokens, or a pair is to be
            cut into windows.
    """
    length = len(tokenized)
    if length <= max_length:
        return Fitted(tokenized, [tokenized.values], [tokenized.segments], truncated=False)
    special = tokenized.prefix + tokenized.middle + tokenized.suffix
    if max_length <= special:
        raise InputError(
            f"max_length={max_length} leaves no room beside {special} special tokens; "
            f"expected at least {special + 1}",
            sequence=index,
        )
    match on_overflow:
        case "error":
            raise SequenceTooLong(
                f"{length} tokens, and the model takes {max_length}; shorten it, or choose "
                "on_overflow='truncate' or 'window'",
                sequence=index,
            )
        case "truncate":
            return _select(tokenized, [_kept(tokenized, max_length - special)], truncated=True)
        case "window":
            return _select(tokenized, _windows(tokenized, max_length, index), truncated=False)
        case unknown:
            assert_never(unknown)


def _select(tokenized: Tokenized, places: list[np.ndarray], *, truncated: bool) -> Fitted:
    segments = tokenized.segments
    return Fitted(
        tokenized,
        [tokenized.values[chosen] for chosen in places],
        [None if segments is None else segments[chosen] for chosen in places],
        truncated,
        places,
    )


def _kept(tokenized: Tokenized, room: int) -> np.ndarray:
    """The positions left when the content is cut to `room` tokens, and the special ones are not."""
    length, suffix = len(tokenized), tokenized.suffix
    content = np.arange(tokenized.prefix, length - suffix)
    if tokenized.first is None:
        kept = [content[:room]]
    else:
        first, second = content[: tokenized.first], content[tokenized.first + tokenized.middle :]
        middle = content[tokenized.first : tokenized.first + tokenized.middle]
        room_first, room_second = _share(room, len(first), len(second))
        kept = [first[:room_first], middle, second[:room_second]]
    return np.concatenate(
        [np.arange(tokenized.prefix), *kept, np.arange(length - suffix, length)], dtype=np.int64
    )


def _share(room: int, first: int, second: int) -> tuple[int, int]:
    """Room for each of two texts: the shorter whole if it can be; the longer gets an odd token."""
    shorter = min(first, second)
    if 2 * shorter > room:
        shorter = room // 2
    return (room - shorter, shorter) if first > second else (shorter, room - shorter)


def _frame(tokenized: Tokenized) -> tuple[int, int]:
    """How many tokens each window repeats at its beginning and at its end."""
    return tokenized.prefix + tokenized.prompt, tokenized.suffix


def _windows(tokenized: Tokenized, max_length: int, index: int | None) -> list[np.ndarray]:
    """The positions of the sequence in each window."""
    if tokenized.first is not None:
        raise InputError(
            f"a pair of {len(tokenized)} tokens cannot be cut into windows; choose 'truncate'",
            sequence=index,
        )
    head, suffix = _frame(tokenized)
    size = max_length - head - suffix
    if size < 1:
        raise InputError(
            f"a prompt of {tokenized.prompt} tokens leaves no room for a window in {max_length}",
            sequence=index,
        )
    length = len(tokenized)
    begin, end = head, length - suffix
    step = size - int(size * OVERLAP)
    starts = [*range(begin, end - size, step), end - size]
    frame_start, frame_end = np.arange(head), np.arange(end, length)
    return [
        np.concatenate([frame_start, np.arange(start, start + size), frame_end]) for start in starts
    ]

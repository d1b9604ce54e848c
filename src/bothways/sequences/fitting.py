"""Fitting sequences to the model's length: refuse, truncate, or split into overlapping windows.

Shapes: L positions of a sequence, l positions of one window, D width of a vector.
"""

import dataclasses
import itertools
from collections.abc import Iterable
from functools import cached_property
from typing import Literal, assert_never

import numpy as np

from bothways.errors import InputError, SequenceTooLong
from bothways.sequences.reader import Tokenized

__all__ = ["FittedSequence", "OnOverflow", "fit_to_length", "window_shares"]

OnOverflow = Literal["error", "truncate", "window"]

OVERLAP = 0.25
"""Fraction of a window's content that the next window repeats. Each token has at least an eighth of
a window as context on both sides, for a third more computation."""


@dataclasses.dataclass(frozen=True, eq=False)
class FittedSequence:
    """A sequence as one or more windows that fit the model.

    tokenized: the whole sequence.
    windows: values of each window, ids (l,) or vectors (l, C); one if the sequence fits.
    segments: segment ids of each window, or None.
    truncated: whether tokens were left out.
    window_positions: the positions of the sequence in each window, int64 (l,); None for all.
    """

    tokenized: Tokenized
    windows: list[np.ndarray]
    segments: list[np.ndarray | None]
    truncated: bool
    window_positions: list[np.ndarray] | None = None

    @cached_property
    def positions(self) -> np.ndarray:
        """The positions of the sequence that have merged vectors, in order, int64."""
        if self.truncated and self.window_positions is not None:
            return self.window_positions[0]
        return np.arange(len(self.tokenized))

    @property
    def content_positions(self) -> np.ndarray:
        """The merged positions that hold no special token, int64 (N,)."""
        tokenized, places = self.tokenized, self.positions
        is_content = (places >= tokenized.prefix) & (places < len(tokenized) - tokenized.suffix)
        if tokenized.first is not None:
            middle = tokenized.prefix + tokenized.first
            is_content &= (places < middle) | (places >= middle + tokenized.middle)
        return np.flatnonzero(is_content)

    @property
    def content(self) -> np.ndarray:
        """The ids (N,) or vectors (N, C) of the content positions."""
        return np.asarray(self.tokenized.values[self.positions[self.content_positions]])

    @property
    def num_tokens(self) -> int:
        """The number of merged vectors."""
        return len(self.windows[0]) if len(self.windows) == 1 else len(self.tokenized)

    @property
    def tokens(self) -> list[str]:
        """The token at each merged position."""
        tokens = self.tokenized.tokens
        return [tokens[position] for position in self.positions] if self.truncated else tokens

    @property
    def offsets(self) -> np.ndarray | None:
        """The character span of each merged position, int64 (L, 2), as in `Tokenized`."""
        offsets = self.tokenized.offsets
        return offsets if offsets is None or not self.truncated else offsets[self.positions]

    def merge(self, vectors: Iterable[np.ndarray]) -> np.ndarray:
        """Merge the vectors (..., l, D) of all windows to those of the sequence, (..., L, D).

        A position in several windows gets a weighted mean of its vectors. The weight is 1 + the
        distance to the nearer cut of the window, as tokens near a cut have less context. Tokens
        that every window repeats (special tokens and prompt) get the plain mean. A position in
        only one window keeps its vector, bit for bit.

        vectors: read one at a time, so that those of all windows need not be in memory.
        """
        vectors = iter(vectors)
        first = next(vectors)
        if len(self.windows) == 1 or self.window_positions is None:
            return first
        head, suffix = _frame(self.tokenized)
        contents = _contents(self.window_positions, head, suffix)
        shares = _content_shares(contents, len(self.tokenized), head, suffix)
        *leading, length, width = first.shape
        merged = np.zeros((*leading, len(self.tokenized), width), dtype=first.dtype)
        frame = np.zeros((*leading, head + suffix, width))  # float64: a sum over all windows
        in_frame = [*range(head), *range(length - suffix, length)]
        windows = itertools.chain([first], vectors)
        for content, share, window in zip(contents, shares, windows, strict=True):
            share = share.astype(window.dtype)
            merged[..., content, :] += window[..., head : length - suffix, :] * share[:, None]
            frame += window[..., in_frame, :]
        merged[..., [*range(head), *range(-suffix, 0)], :] = frame / len(self.windows)
        return merged


def fit_to_length(
    tokenized: Tokenized, max_length: int, on_overflow: OnOverflow, *, index: int | None = None
) -> FittedSequence:
    """Fit a sequence to a model of `max_length` positions.

    on_overflow: what to do with a longer sequence.
        error: raise an error.
        truncate: keep the special tokens, and as much of the beginning of the content as fits. In
            a pair, the longer text is cut until both are equally long, then both are cut.
        window: split the content into overlapping windows, each with the special tokens and the
            prompt. All windows are full, as the last one ends where the sequence ends.

    index: of the sequence in the caller's list, for messages.

    Raises:
        SequenceTooLong: if the sequence is longer and `on_overflow` is `error`.
        InputError: if the special tokens leave no room, or a pair would need windows.
    """
    length = len(tokenized)
    if length <= max_length:
        return FittedSequence(tokenized, [tokenized.values], [tokenized.segments], truncated=False)
    special = tokenized.prefix + tokenized.middle + tokenized.suffix
    if max_length <= special:
        raise InputError(
            f"max_length={max_length} leaves no room for tokens other than {special} special ones; "
            f"expected at least {special + 1}",
            sequence=index,
        )
    match on_overflow:
        case "error":
            more = "" if tokenized.is_whole else "more than "
            raise SequenceTooLong(
                f"{more}{length - (not tokenized.is_whole)} tokens, but the model takes "
                f"{max_length}; shorten the sequence, or "
                "choose on_overflow='truncate' or 'window'",
                sequence=index,
            )
        case "truncate":
            return _select(tokenized, [_kept(tokenized, max_length - special)], truncated=True)
        case "window":
            return _select(tokenized, _windows(tokenized, max_length, index), truncated=False)
        case unknown:
            assert_never(unknown)


def window_shares(
    length: int, max_length: int, prefix: int, suffix: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """How the windows of a sequence without a prompt are merged, as `FittedSequence.merge` does.

    length: of the whole sequence. max_length: of a window. prefix, suffix: number of special tokens
    that each window repeats. Returns for each window the positions of the sequence, int64 (l,), and
    the share that its vectors have in those of the sequence, float64 (l,).
    """
    windows = _window_positions(length, max_length, prefix, suffix)
    shares = _content_shares(_contents(windows, prefix, suffix), length, prefix, suffix)
    in_frame = 1 / len(windows)
    return [
        (positions, np.pad(share, (prefix, suffix), constant_values=in_frame))
        for positions, share in zip(windows, shares, strict=True)
    ]


def _contents(windows: list[np.ndarray], head: int, suffix: int) -> list[np.ndarray]:
    """The positions of each window without those that every window repeats."""
    return [positions[head : len(positions) - suffix] for positions in windows]


def _content_shares(
    contents: list[np.ndarray], length: int, head: int, suffix: int
) -> list[np.ndarray]:
    """The share of each window in the positions of its content, float64; they sum to 1."""
    weights = [_weights(content, length, head, suffix) for content in contents]
    total_L = np.zeros(length)
    for content, weight in zip(contents, weights, strict=True):
        total_L[content] += weight
    return [weight / total_L[content] for content, weight in zip(contents, weights, strict=True)]


def _weights(content: np.ndarray, length: int, head: int, suffix: int) -> np.ndarray:
    """1 + the distance to the nearer cut, for each position of a window's content."""
    from_start = np.arange(1.0, len(content) + 1)
    from_end = from_start[::-1].copy()
    if content[0] == head:  # no cut where the sequence begins
        from_start[:] = np.inf
    if content[-1] == length - suffix - 1:
        from_end[:] = np.inf
    return np.asarray(np.minimum(from_start, from_end))


def _select(
    tokenized: Tokenized, window_positions: list[np.ndarray], *, truncated: bool
) -> FittedSequence:
    segments = tokenized.segments
    return FittedSequence(
        tokenized,
        [tokenized.values[positions] for positions in window_positions],
        [None if segments is None else segments[positions] for positions in window_positions],
        truncated,
        window_positions,
    )


def _kept(tokenized: Tokenized, room: int) -> np.ndarray:
    """The positions that remain when the content, without special tokens, is cut to `room`."""
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
    """Room for each of two texts: the longer is cut first, and gets the odd token."""
    shorter = min(first, second)
    if 2 * shorter > room:
        shorter = room // 2
    return (room - shorter, shorter) if first > second else (shorter, room - shorter)


def _frame(tokenized: Tokenized) -> tuple[int, int]:
    """The number of tokens that each window repeats at its beginning and at its end."""
    return tokenized.prefix + tokenized.prompt, tokenized.suffix


def _windows(tokenized: Tokenized, max_length: int, index: int | None) -> list[np.ndarray]:
    """The positions of the sequence in each window."""
    if tokenized.first is not None:
        raise InputError(
            f"a pair of {len(tokenized)} tokens cannot be split into windows; choose 'truncate'",
            sequence=index,
        )
    head, suffix = _frame(tokenized)
    size = max_length - head - suffix
    if size < 1:
        raise InputError(
            f"a prompt of {tokenized.prompt} tokens leaves no room in a window of {max_length}",
            sequence=index,
        )
    return _window_positions(len(tokenized), max_length, head, suffix)


def _window_positions(length: int, max_length: int, head: int, suffix: int) -> list[np.ndarray]:
    """The positions of each window: `head` and `suffix` positions, and a part of the others."""
    size = max_length - head - suffix
    begin, end = head, length - suffix
    step = size - int(size * OVERLAP)
    starts = [*range(begin, end - size, step), end - size]
    frame_start, frame_end = np.arange(head), np.arange(end, length)
    return [
        np.concatenate([frame_start, np.arange(start, start + size), frame_end]) for start in starts
    ]

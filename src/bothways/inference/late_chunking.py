"""Late chunking: vectors of chunks, pooled from token vectors of the whole document.

Each token of a chunk has seen the rest of the document (Günther et al. 2024, "Late chunking:
contextual chunk embeddings using long-context embedding models").

m chunks of a document; L positions of it; D model width; d dimensions of a vector.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from bothways.errors import InputError
from bothways.inference.inputs import as_inputs
from bothways.inference.options import RunOptions, VectorOptions
from bothways.inference.session import Session
from bothways.inference.vectors import pooling_modes
from bothways.io.short_repr import ShortRepr
from bothways.model.config import PoolingMode
from bothways.reference import pool
from bothways.sequences import FittedSequence
from bothways.sequences.sentences import sentence_spans

__all__ = ["ChunkVector", "ChunkVectors", "Chunks", "encode_chunks"]

Chunks = int | Literal["sentences"] | Sequence[Any] | np.ndarray
"""Tokens of a chunk, `sentences`, or the spans of each document."""


class ChunkVector(NamedTuple):
    """The vector of one chunk, float32 (d,), of `document[start:end]`."""

    vector: np.ndarray
    start: int
    end: int
    num_tokens: int


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ChunkVectors(ShortRepr):
    """The vectors of the m chunks of one document; `[i]` is the `ChunkVector` of one.

    vectors: float32 (m, d).
    spans: int64 (m, 2): the characters of the document that each chunk covers, `[start, end)`.
    num_tokens: tokens of each chunk, int64 (m,).
    num_unknown: how many of them are unknown to the model, int64 (m,).
    truncated: whether the document was cut.
    """

    vectors: np.ndarray
    spans: np.ndarray
    num_tokens: np.ndarray
    num_unknown: np.ndarray
    truncated: bool

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, index: int) -> ChunkVector:
        start, end = self.spans[index].tolist()
        return ChunkVector(self.vectors[index], start, end, int(self.num_tokens[index]))

    def __iter__(self) -> Iterator[ChunkVector]:
        return (self[i] for i in range(len(self)))


class _Chunk(NamedTuple):
    """A span of characters, and the positions `[first, last)` of its tokens."""

    start: int
    end: int
    first: int
    last: int


def encode_chunks(
    session: Session, documents: Any, *, chunks: Chunks, vector: VectorOptions, options: RunOptions
) -> ChunkVectors | list[ChunkVectors]:
    """The vectors of the chunks of each document; of one alone for a single document.

    Warns if documents were cut, or consist mostly of unknown tokens.

    Raises:
        InputError: naming the document, span or argument that is invalid.
    """
    session = session.for_task(options.role)
    modes = _modes(session, vector)
    rows, single = as_inputs(documents, session.reader)
    for index, row in enumerate(rows):
        if not isinstance(row, str):
            raise InputError(
                "chunks are spans of characters; pass the document as a string", sequence=index
            )
    spans = _given_spans(rows, chunks, single=single)
    fitted = session.prepare(rows, options)
    session.warn(rows, fitted, options)
    chunked = [
        _chunks(f, row, chunks if spans is None else spans[i], i)
        for i, (f, row) in enumerate(zip(fitted, rows, strict=True))
    ]
    results: dict[int, ChunkVectors] = {}
    layer = session.spec.config.num_layers
    for i, states in session.hidden_states(fitted, [layer], options):
        pooled = np.empty((len(chunked[i]), states.shape[-1] * len(modes)), np.float32)
        for row_of_pooled, chunk in zip(pooled, chunked[i], strict=True):
            chunk_states = states[0, chunk.first : chunk.last]
            row_of_pooled[:] = np.concatenate([pool(chunk_states, mode) for mode in modes])
        results[i] = _result(session, fitted[i], chunked[i], session.finish(pooled, vector))
    return results[0] if single else [results[i] for i in range(len(rows))]


def _modes(session: Session, vector: VectorOptions) -> Sequence[PoolingMode]:
    modes = pooling_modes(session, vector)
    if "cls" in modes:
        raise InputError(
            "pooling='cls' takes the first token, which stands for the whole document and not for "
            "a chunk; choose pooling='mean'"
        )
    return modes


def _given_spans(rows: Sequence[str], chunks: Chunks, *, single: bool) -> list[np.ndarray] | None:
    """The spans of the caller, int64 (m, 2) of each document; None if `chunks` is a rule."""
    if isinstance(chunks, str):
        if chunks != "sentences":
            raise InputError(
                f"chunks={chunks!r}: expected a number of tokens, 'sentences', or spans"
            )
        return None
    if isinstance(chunks, int | np.integer):
        if chunks < 1 or isinstance(chunks, bool):
            raise InputError(f"chunks={chunks}: expected at least 1 token")
        return None
    given = [chunks] if single else list(chunks)
    if len(given) != len(rows):
        raise InputError(
            f"chunks has spans of {len(given)} documents, and there are {len(rows)}; pass a list "
            "of spans (start, end) for each document"
        )
    return [_checked_spans(spans, len(rows[i]), i) for i, spans in enumerate(given)]


def _checked_spans(spans: Any, length: int, index: int) -> np.ndarray:
    try:
        array = np.asarray(spans)
    except ValueError:
        array = np.empty(0, object)
    if array.size == 0 and array.dtype != object:
        return np.empty((0, 2), np.int64)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iu":
        raise InputError(
            "its chunks must be pairs of whole numbers (start, end), such as (0, 120)",
            sequence=index,
        )
    for number, (start, end) in enumerate(array.tolist()):
        if not 0 <= start < end <= length:
            raise InputError(
                f"chunk {number} is ({start}, {end}), and the document has {length} characters; "
                "expected 0 <= start < end <= length",
                sequence=index,
            )
    return array.astype(np.int64)


def _chunks(fitted: FittedSequence, text: str, chunks: Chunks, index: int) -> list[_Chunk]:
    """The chunks of one document; `chunks` is a rule, or its spans."""
    offsets = np.zeros((0, 2), np.int64) if fitted.offsets is None else fitted.offsets
    positions = np.flatnonzero(offsets[:, 1] > offsets[:, 0])  # not of special tokens
    offsets = offsets[positions]
    # White space at the start of a token, as SentencePiece has it, is not of the token.
    starts = [_first_visible(text, start, end) for start, end in offsets.tolist()]
    offsets = np.column_stack([np.array(starts, np.int64), offsets[:, 1]])
    if isinstance(chunks, int | np.integer):
        return _chunks_of_tokens(positions, offsets, int(chunks))
    spans = sentence_spans(text) if isinstance(chunks, str) else np.asarray(chunks)
    divided = [_chunk_of_span(positions, offsets, *span) for span in spans.tolist()]
    if not isinstance(chunks, str) and None in divided:
        number = divided.index(None)
        cut = "; the document was cut before it, choose on_overflow='window'"
        raise InputError(
            f"chunk {number}, {tuple(spans[number].tolist())}, has no tokens"
            f"{cut if fitted.truncated else ''}",
            sequence=index,
        )
    return [chunk for chunk in divided if chunk is not None]


def _chunks_of_tokens(positions: np.ndarray, offsets: np.ndarray, size: int) -> list[_Chunk]:
    """Chunks of `size` tokens; fewer in the last."""
    return [
        _Chunk(
            int(offsets[first : first + size, 0].min()),
            int(offsets[first : first + size, 1].max()),
            int(positions[first]),
            int(positions[first : first + size][-1]) + 1,
        )
        for first in range(0, len(positions), size)
    ]


def _chunk_of_span(
    positions: np.ndarray, offsets: np.ndarray, start: int, end: int
) -> _Chunk | None:
    """The tokens that a span overlaps; None if there are none."""
    overlapping = positions[(offsets[:, 0] < end) & (offsets[:, 1] > start)]
    if not len(overlapping):
        return None
    return _Chunk(start, end, int(overlapping[0]), int(overlapping[-1]) + 1)


def _first_visible(text: str, start: int, end: int) -> int:
    """The first character of a token that is no white space; its first if all are."""
    token = text[start:end]
    visible = token.lstrip()
    return end - len(visible) if visible else start


def _result(
    session: Session, fitted: FittedSequence, chunks: Sequence[_Chunk], vectors: np.ndarray
) -> ChunkVectors:
    ranges = [slice(chunk.first, chunk.last) for chunk in chunks]
    is_unknown = session.is_unknown(fitted)
    return ChunkVectors(
        vectors=vectors,
        spans=np.array([(c.start, c.end) for c in chunks], np.int64).reshape(-1, 2),
        num_tokens=np.array([r.stop - r.start for r in ranges], np.int64),
        num_unknown=np.array([is_unknown[r].sum() for r in ranges], np.int64),
        truncated=fitted.truncated,
    )

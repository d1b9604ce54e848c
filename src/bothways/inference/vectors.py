"""Vectors of sequences, and vectors of tokens.

n sequences; L positions of one; D model width; d dimensions of a vector.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.inference import runner
from bothways.inference.inputs import as_inputs
from bothways.inference.options import RunOptions, VectorOptions
from bothways.inference.reading_ahead import fitted_chunks
from bothways.inference.selection import Selection, select_indices
from bothways.inference.session import Session
from bothways.io.short_repr import ShortRepr
from bothways.model.config import PoolingMode
from bothways.sequences import FittedSequence
from bothways.sequences.unknown_tokens import is_mostly_unknown

__all__ = [
    "PreparedSequences",
    "SequenceVector",
    "SequenceVectors",
    "TokenVectors",
    "contextualize",
    "encode",
    "encode_detailed",
    "pooling_modes",
    "prepare",
]


class PreparedSequences(Sequence[Any]):
    """Sequences with their tokens, for `encode_detailed` with the options of `prepare`.

    It is a sequence of what was given.
    """

    def __init__(self, rows: list[Any], fitted: list[FittedSequence], options: RunOptions) -> None:
        self.rows, self.fitted, self._options = rows, fitted, _options_of_tokens(options)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def check(self, options: RunOptions) -> None:
        """Raise InputError if the sequences were prepared with other options."""
        if _options_of_tokens(options) != self._options:
            raise InputError("the sequences were prepared with other options; prepare them again")


def _options_of_tokens(options: RunOptions) -> RunOptions:
    """The options without those that tokens do not depend on."""
    return dataclasses.replace(options, max_tokens=None, progress=False)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SequenceVector(ShortRepr):
    """The vector of one sequence.

    vector: float32 (d,). num_tokens: the number of tokens encoded, of which num_unknown are unknown
    to the model. truncated: whether the sequence was cut. mostly_unknown: whether more than half of
    its tokens are unknown, special tokens and the prompt aside.
    """

    vector: np.ndarray
    num_tokens: int
    truncated: bool
    num_unknown: int
    mostly_unknown: bool


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SequenceVectors(ShortRepr):
    """The vectors of n sequences; `[i]` is the `SequenceVector` of one.

    vectors: float32 (n, d). num_tokens: tokens encoded of each sequence, int64 (n,). truncated:
    whether each sequence was cut, bool (n,). num_unknown: how many of the tokens are unknown to the
    model, int64 (n,). mostly_unknown: whether more than half of them are, special tokens and the
    prompt aside, bool (n,).
    """

    vectors: np.ndarray
    num_tokens: np.ndarray
    truncated: np.ndarray
    num_unknown: np.ndarray
    mostly_unknown: np.ndarray

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, index: int) -> SequenceVector:
        return SequenceVector(
            self.vectors[index],
            int(self.num_tokens[index]),
            bool(self.truncated[index]),
            int(self.num_unknown[index]),
            bool(self.mostly_unknown[index]),
        )

    def __iter__(self) -> Iterator[SequenceVector]:
        return (self[i] for i in range(len(self)))


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class TokenVectors(ShortRepr):
    """One vector for each token of one sequence.

    vectors: float32 (L, D); with several layers (layers, L, D).
    tokens: the token at each position.
    offsets: for text and symbols, int64 (L, 2): the characters of the input that each token covers,
        (0, 0) for special tokens; None for ids and series.
    truncated: whether the sequence was cut.
    """

    vectors: np.ndarray
    tokens: list[str]
    offsets: np.ndarray | None
    truncated: bool


def encode(
    session: Session, sequences: Any, *, vector: VectorOptions, options: RunOptions
) -> np.ndarray:
    """One vector per sequence, float32 (n, d), or (d,) of one.

    Warns if sequences were cut, or consist mostly of unknown tokens.

    Raises:
        InputError: naming the sequence or argument that is invalid.
    """
    session = session.for_task(options.role)
    rows, single = as_inputs(sequences, session.reader)
    cut, mostly_unknown = 0, list[int]()

    def note(start: int, fitted: Sequence[FittedSequence]) -> None:
        nonlocal cut
        cut += sum(f.truncated for f in fitted)
        mostly_unknown.extend(start + index for index in session.mostly_unknown(fitted))

    chunks = fitted_chunks(session, rows, options)
    vectors = _encode_chunks(session, chunks, len(rows), vector, options, note)
    session.warn_of(rows, cut, mostly_unknown, options)
    first: np.ndarray = vectors[0] if single else vectors
    return first


def prepare(session: Session, sequences: Any, options: RunOptions) -> PreparedSequences:
    """Tokenize sequences, which `encode_detailed` can encode later, in another thread.

    Raises:
        InputError: as `encode`.
    """
    session = session.for_task(options.role)
    rows, _ = as_inputs(sequences, session.reader)
    return PreparedSequences(rows, session.prepare(rows, options), options)


def encode_detailed(
    session: Session, sequences: Any, *, vector: VectorOptions, options: RunOptions
) -> SequenceVector | SequenceVectors:
    """As `encode`, with the number of tokens, of unknown tokens and cuts, and no warning.

    sequences: also those that `prepare` returned.

    Raises:
        InputError: as `encode`.
    """
    session = session.for_task(options.role)
    facts: list[tuple[np.ndarray, ...]] = []

    def note(start: int, fitted: Sequence[FittedSequence]) -> None:
        num_unknown = session.num_unknown(fitted)
        mostly = np.array(is_mostly_unknown(fitted, num_unknown.tolist()), dtype=bool)
        facts.append((runner.num_tokens(fitted), runner.truncated(fitted), num_unknown, mostly))

    if isinstance(sequences, PreparedSequences):
        sequences.check(options)
        rows, single = sequences.rows, False
        chunks = (fitted for fitted in [sequences.fitted])
    else:
        rows, single = as_inputs(sequences, session.reader)
        chunks = fitted_chunks(session, rows, options)
    vectors = _encode_chunks(session, chunks, len(rows), vector, options, note)
    result = SequenceVectors(vectors, *map(np.concatenate, zip(*facts, strict=True)))
    return result[0] if single else result


def contextualize(
    session: Session,
    sequences: Any,
    *,
    layers: Selection,
    options: RunOptions,
) -> TokenVectors | list[TokenVectors]:
    """The hidden states of each sequence; of one alone for a single sequence.

    layers: one, several, or all of them, the embeddings included.

    Raises:
        InputError: naming the sequence or layer that is invalid.
    """
    session = session.for_task(options.role)
    rows, single = as_inputs(sequences, session.reader)
    indices = select_indices(layers, session.spec.config.num_layers + 1, "layer")
    fitted = session.prepare(rows, options)
    session.warn(rows, fitted, options)
    by_index: dict[int, TokenVectors] = {}
    for i, states in session.hidden_states(fitted, indices, options):
        vectors = states[0] if len(indices) == 1 and not isinstance(layers, str) else states
        f = fitted[i]
        by_index[i] = TokenVectors(vectors, f.tokens, f.offsets, f.truncated)
    return by_index[0] if single else [by_index[i] for i in range(len(fitted))]


def _encode_chunks(
    session: Session,
    chunks: Generator[list[FittedSequence]],
    total: int,
    vector: VectorOptions,
    options: RunOptions,
    note: Callable[[int, Sequence[FittedSequence]], None],
) -> np.ndarray:
    """The vectors, float32 (n, d), of the `total` sequences of all chunks.

    The modules after pooling see all of them at once, so that no vector depends on the chunks.

    note: called for each chunk with the index of its first sequence, and its sequences.
    """
    modes = pooling_modes(session, vector)
    pooled = np.empty((total, session.spec.config.d_model * len(modes)), np.float32)
    start = 0
    with contextlib.closing(chunks):
        try:
            for fitted in chunks:
                pooled[start : start + len(fitted)] = session.pool(fitted, modes, options)
                note(start, fitted)
                start += len(fitted)
        except InputError as error:
            if error.sequence is None or not start:
                raise
            raise type(error)(error.detail, sequence=start + error.sequence) from None
    return session.finish(pooled, vector)


def pooling_modes(session: Session, vector: VectorOptions) -> tuple[PoolingMode, ...]:
    """The poolings whose vectors are concatenated: the one that is given, or the model's own.

    Raises:
        InputError: if the model has none, because it was trained for one vector per token.
    """
    if vector.pooling is not None:
        return (vector.pooling,)
    if session.spec.late_interaction is not None:
        raise InputError(
            "this model was trained for one vector per token (late interaction): use multi_vector "
            "and maxsim, or choose a pooling for one vector per sequence, such as pooling='mean'"
        )
    if session.spec.terms is not None and session.spec.terms.source == "tokens":
        raise InputError("this model has a weight for each token, and no vectors: use sparse")
    return session.spec.pooling.modes

"""Vectors of sequences, vectors of tokens, and attention maps.

n sequences; L positions of one; D model width; d dimensions of a vector; H heads.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.inference import runner
from bothways.inference.inputs import as_inputs
from bothways.inference.options import RunOptions, VectorOptions
from bothways.inference.session import Session
from bothways.model.baselines.any_encoder import require_transformer
from bothways.sequences import FittedSequence

__all__ = [
    "SequenceVector",
    "SequenceVectors",
    "TokenVectors",
    "attention",
    "contextualize",
    "encode",
    "encode_detailed",
]


@dataclasses.dataclass(frozen=True, eq=False)
class SequenceVector:
    """The vector of one sequence.

    vector: float32 (d,). num_tokens: the number of tokens encoded. truncated: whether the sequence
    was cut.
    """

    vector: np.ndarray
    num_tokens: int
    truncated: bool


@dataclasses.dataclass(frozen=True, eq=False)
class SequenceVectors:
    """The vectors of n sequences; `[i]` is the `SequenceVector` of one.

    vectors: float32 (n, d). num_tokens: tokens encoded of each sequence, int64 (n,). truncated:
    whether each sequence was cut, bool (n,).
    """

    vectors: np.ndarray
    num_tokens: np.ndarray
    truncated: np.ndarray

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, index: int) -> SequenceVector:
        return SequenceVector(
            self.vectors[index], int(self.num_tokens[index]), bool(self.truncated[index])
        )

    def __iter__(self) -> Iterator[SequenceVector]:
        return (self[i] for i in range(len(self)))


@dataclasses.dataclass(frozen=True, eq=False)
class TokenVectors:
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
    """One vector per sequence, float32 (n, d), or (d,) of one; warns of truncation.

    Raises:
        InputError: naming the sequence or argument that is invalid.
    """
    rows, single = as_inputs(sequences, session.reader)
    fitted = session.prepare(rows, options)
    vectors = _pooled_vectors(session, fitted, vector, options)
    session.warn_of_truncation(fitted)
    first: np.ndarray = vectors[0] if single else vectors
    return first


def encode_detailed(
    session: Session, sequences: Any, *, vector: VectorOptions, options: RunOptions
) -> SequenceVector | SequenceVectors:
    """As `encode`, with the number of tokens and whether a sequence was cut, and no warning.

    Raises:
        InputError: as `encode`.
    """
    rows, single = as_inputs(sequences, session.reader)
    fitted = session.prepare(rows, options)
    vectors = SequenceVectors(
        vectors=_pooled_vectors(session, fitted, vector, options),
        num_tokens=runner.num_tokens(fitted),
        truncated=runner.truncated(fitted),
    )
    return vectors[0] if single else vectors


def contextualize(
    session: Session, sequences: Any, *, layers: Sequence[int], options: RunOptions
) -> TokenVectors | list[TokenVectors]:
    """The hidden states of each sequence; of one alone for a single sequence.

    Raises:
        InputError: naming the sequence or layer that is invalid.
    """
    rows, single = as_inputs(sequences, session.reader)
    indices = [_index(layer, session.spec.config.num_layers + 1, "layer") for layer in layers]
    fitted = session.prepare(rows, options)
    session.warn_of_truncation(fitted)
    by_index: dict[int, TokenVectors] = {}
    for i, states in session.hidden_states(fitted, indices, options):
        vectors = states[0] if len(indices) == 1 else states
        f = fitted[i]
        by_index[i] = TokenVectors(vectors, f.tokens, f.offsets, f.truncated)
    return by_index[0] if single else [by_index[i] for i in range(len(fitted))]


def attention(
    session: Session, sequence: Any, *, layers: Sequence[int] | None, heads: Sequence[int] | None
) -> np.ndarray:
    """Attention probabilities of one sequence, (layers, H, L, L); None for all layers or heads.

    Raises:
        InputError: if the sequence is too long, or a layer or head does not exist.
        UnsupportedModel: if the encoder is not a Transformer.
    """
    config = require_transformer(
        session.spec.config, "attention maps are of", "contextualize gives its hidden states"
    )
    if layers is None:
        layers = range(config.num_layers)
    if heads is None:
        heads = range(config.num_heads)
    layer_indices = [_index(layer, config.num_layers, "layer") for layer in layers]
    head_indices = [_index(head, config.num_heads, "head") for head in heads]
    fitted = session.prepare([sequence], RunOptions(on_overflow="error"))
    return session.backend.attention(runner.pack(fitted), layer_indices)[:, head_indices]


def _pooled_vectors(
    session: Session, fitted: Sequence[FittedSequence], vector: VectorOptions, options: RunOptions
) -> np.ndarray:
    modes = session.spec.pooling.modes if vector.pooling is None else (vector.pooling,)
    pooled = session.pool(fitted, modes, options)
    return session.finish(pooled, vector)


def _index(index: int, count: int, noun: str) -> int:
    if not -count <= index < count:
        raise InputError(f"{noun} {index}: expected {-count} to {count - 1}")
    return index % count

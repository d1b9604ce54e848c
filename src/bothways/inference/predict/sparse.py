"""Sparse vectors: weights of the terms of a vocabulary, for an inverted index.

L positions of a sequence; N of B sequences; D model width; V vocabulary; O some of its tokens.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bothways.errors import MissingExtra
from bothways.inference.finite import check_head_outputs
from bothways.inference.inputs import as_inputs
from bothways.inference.options import RunOptions
from bothways.inference.predict.head_run import HeadRun
from bothways.inference.predict.vocabulary import LOGIT_BYTES, names_of_tokens
from bothways.inference.session import Session
from bothways.io.short_repr import ShortRepr
from bothways.reference.heads import term_weights

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["SparseVector", "SparseVectors", "sparse", "sparse_vectors"]

_LARGEST_BYTES = 1 << 25
"""Bytes of the largest logits of sequences in memory at a time."""

_POSITIONS = 1024
"""Positions whose logits are computed at a time: each pass reads the whole output matrix."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SparseVector(ShortRepr):
    """The weights of the terms of one sequence, all above 0.

    indices: the token that each weight belongs to, int32, ascending. data: the weights, float32.
    vocabulary: the name of each token, by id. truncated: whether the sequence was cut.
    """

    indices: np.ndarray
    data: np.ndarray
    vocabulary: tuple[str, ...]
    truncated: bool

    def terms(self) -> dict[str, float]:
        """The weight of each term, the heaviest first."""
        order = np.argsort(-self.data, kind="stable")
        pairs = zip(self.indices[order], self.data[order], strict=True)
        return {self.vocabulary[index]: float(weight) for index, weight in pairs}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SparseVectors(ShortRepr):
    """The weights of the terms of n sequences, as a compressed sparse row matrix.

    The weights of sequence i are `data[indptr[i] : indptr[i + 1]]`, all above 0; `[i]` is its
    `SparseVector`.

    indptr: int64 (n + 1,). indices: the token that each weight belongs to, int32, ascending in a
    row. data: the weights, float32. vocabulary: the name of each token, by id. truncated:
    whether each sequence was cut, bool (n,).
    """

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    vocabulary: tuple[str, ...]
    truncated: np.ndarray

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __getitem__(self, index: int) -> SparseVector:
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index}: expected {-len(self)} to {len(self) - 1}")
        index %= len(self)
        row = slice(int(self.indptr[index]), int(self.indptr[index + 1]))
        return SparseVector(
            self.indices[row], self.data[row], self.vocabulary, bool(self.truncated[index])
        )

    def __iter__(self) -> Iterator[SparseVector]:
        return (self[i] for i in range(len(self)))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of sequences, and size of the vocabulary."""
        return len(self), len(self.vocabulary)

    def to_scipy(self) -> "csr_array":
        """The same as a SciPy matrix, so that `queries @ documents.T` scores documents.

        Raises:
            MissingExtra: if SciPy is not installed.
        """
        try:
            from scipy.sparse import csr_array
        except ImportError as error:
            raise MissingExtra("sklearn", "a SciPy matrix") from error
        return csr_array((self.data, self.indices, self.indptr), shape=self.shape)


def sparse(
    session: Session, sequences: Any, *, options: RunOptions
) -> SparseVector | SparseVectors:
    """The weights of the terms of each sequence (SPLADE v2, Formal et al. 2021).

    One alone for a single sequence.

    Raises:
        InputError: naming the sequence that is invalid, or if the model has no head for masked
            tokens.
    """
    rows, single = as_inputs(sequences, session.reader)
    run = HeadRun.start(session, ("masked_tokens",), rows, options, purpose="sparse")
    vectors = sparse_vectors(run)
    return vectors[0] if single else vectors


def sparse_vectors(run: HeadRun) -> SparseVectors:
    """The weights of the terms of each sequence of a run to a head for masked tokens."""
    vocabulary = names_of_tokens(run.session)
    weights: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    max_sequences = max(1, _LARGEST_BYTES // (4 * len(vocabulary)))
    for group in _groups(run.last_hidden_states(), max_sequences):
        largest_BV = _largest_logits(run, [x_LD for _, x_LD in group], len(vocabulary))
        check_head_outputs(largest_BV, run.head.task, [i for i, _ in group])
        for (i, _), largest_V in zip(group, largest_BV, strict=True):
            present = np.flatnonzero(largest_V > 0)  # the others have weight 0
            weight = np.asarray(term_weights(largest_V[None, present]), dtype=np.float32)
            weights[i] = present.astype(np.int32), weight
    return _stack([weights[i] for i in range(len(run.fitted))], vocabulary, run.truncated)


def _stack(
    rows: Sequence[tuple[np.ndarray, np.ndarray]],
    vocabulary: tuple[str, ...],
    truncated: np.ndarray,
) -> SparseVectors:
    empty = (np.zeros(0, np.int32), np.zeros(0, np.float32))
    return SparseVectors(
        indptr=np.cumsum([0, *(len(indices) for indices, _ in rows)], dtype=np.int64),
        indices=np.concatenate([empty[0], *(indices for indices, _ in rows)]),
        data=np.concatenate([empty[1], *(data for _, data in rows)]),
        vocabulary=vocabulary,
        truncated=truncated,
    )


Group = list[tuple[int, np.ndarray]]


def _groups(states: Iterator[tuple[int, np.ndarray]], max_sequences: int) -> Iterator[Group]:
    """Sequences in groups of at most `max_sequences` and `_POSITIONS`; a longer one by itself."""
    group: Group = []
    positions = 0
    for i, x_LD in states:
        if group and (positions + len(x_LD) > _POSITIONS or len(group) == max_sequences):
            yield group
            group, positions = [], 0
        group.append((i, x_LD))
        positions += len(x_LD)
    if group:
        yield group


def _largest_logits(run: HeadRun, group: Sequence[np.ndarray], vocab_size: int) -> np.ndarray:
    """The largest logit of each token over the positions of each sequence, (B, V).

    A few tokens at a time, for all positions: that order multiplies fastest, and the logits are
    still in the cache when they are compared.
    """
    largest_BV = np.empty((len(group), vocab_size), np.float32)
    x_ND = np.concatenate(group)
    ends = np.cumsum([len(x_LD) for x_LD in group]).tolist()
    for columns, logit_NO in run.outputs_by_column(x_ND, max(1, LOGIT_BYTES // (4 * len(x_ND)))):
        # One by one: NumPy's reduceat takes as long as the product.
        for row, (start, end) in enumerate(pairwise([0, *ends])):
            logit_NO[start:end].max(axis=0, out=largest_BV[row, columns])
    return largest_BV

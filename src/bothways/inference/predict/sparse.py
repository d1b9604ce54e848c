"""Sparse vectors: weights of the terms of a vocabulary, for an inverted index.

A head for masked tokens gives them, or a table with a weight for each token.

L positions of a sequence; N of B sequences; D model width; V vocabulary; O some of its tokens.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from bothways.errors import MissingExtra
from bothways.inference.finite import check_head_outputs
from bothways.inference.inputs import as_inputs
from bothways.inference.options import RunOptions, check_count
from bothways.inference.predict.head_run import HeadRun, without_default_prompt
from bothways.inference.predict.vocabulary import LOGIT_BYTES, names_of_tokens
from bothways.inference.runner import truncated
from bothways.inference.session import Session
from bothways.io.short_repr import ShortRepr
from bothways.model.terms import SPLADE_V2, TermWeighting
from bothways.reference.heads import saturate
from bothways.sequences import FittedSequence

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = [
    "SparseVector",
    "SparseVectors",
    "check_sparse",
    "sparse",
    "sparse_vectors",
    "term_names",
]

_LARGEST_BYTES = 1 << 25
"""Bytes of the largest logits of sequences in memory at a time."""

_POSITIONS = 1024
"""Positions whose logits are computed at a time: each pass reads the whole output matrix."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SparseVector(ShortRepr):
    """The weights of the terms of one sequence, none of them 0.

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

    The weights of sequence i are `data[indptr[i] : indptr[i + 1]]`, none of them 0; `[i]` is its
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


def check_sparse(session: Session, purpose: str) -> None:
    """Check that a model weighs terms.

    purpose: the method or option that needs it, for the message.

    Raises:
        InputError: if it has neither a head for masked tokens nor a table of weights.
    """
    if _weighting(session).source == "logits":
        session.heads.find("masked_tokens", purpose=purpose)


def sparse(
    session: Session, sequences: Any, *, options: RunOptions, max_terms: int | None = None
) -> SparseVector | SparseVectors:
    """The weights of the terms of each sequence; one alone for a single sequence.

    max_terms: how many terms of a sequence are kept, the heaviest; None for the model's own.

    Raises:
        InputError: naming the sequence that is invalid, or if the model does not weigh terms.
    """
    session = session.for_task(options.role)
    check_sparse(session, "sparse")
    check_count("max_terms", max_terms)
    rows, single = as_inputs(sequences, session.reader)
    options = without_default_prompt(options)
    fitted = session.prepare(rows, options)
    session.warn(rows, fitted, options)
    vectors = sparse_vectors(session, fitted, options, max_terms=max_terms)
    return vectors[0] if single else vectors


def sparse_vectors(
    session: Session,
    fitted: Sequence[FittedSequence],
    options: RunOptions,
    *,
    max_terms: int | None = None,
) -> SparseVectors:
    """The weights of the terms of fitted sequences; raises as `sparse`."""
    terms, vocabulary = _weighting(session), term_names(session)
    match terms.source:
        case "logits":
            head = session.heads.find("masked_tokens", purpose="sparse")
            run = HeadRun(session, head, session.heads.weights(head), fitted, options)
            weights = _weights_of_logits(run, terms, len(vocabulary))
        case "tokens":
            weights = _weights_of_tokens(session, fitted, options)
        case unknown:
            assert_never(unknown)
    keep = terms.max_terms if max_terms is None else max_terms
    rows = [_heaviest(*weights[i], keep) for i in range(len(fitted))]
    return _stack(rows, vocabulary, truncated(fitted))


def term_names(session: Session) -> tuple[str, ...]:
    """The name of each term that a model weighs, by id."""
    return names_of_tokens(session)[: session.spec.empty_token]


Weights = dict[int, tuple[np.ndarray, np.ndarray]]
"""Tokens, int32, ascending, and their weights, float32, of each sequence by its index."""


def _weighting(session: Session) -> TermWeighting:
    return session.spec.terms or SPLADE_V2


def _weights_of_logits(run: HeadRun, terms: TermWeighting, vocab_size: int) -> Weights:
    weights: Weights = {}
    max_sequences = max(1, _LARGEST_BYTES // (4 * vocab_size))
    for group in _groups(run.last_hidden_states(), max_sequences):
        pooled_BV = _pooled_logits(run, terms, [x_LD for _, x_LD in group], vocab_size)
        check_head_outputs(pooled_BV, run.head.task, [i for i, _ in group])
        for (i, _), pooled_V in zip(group, pooled_BV, strict=True):
            present = np.flatnonzero(pooled_V > 0)  # the others have weight 0
            weight = pooled_V[present]
            if terms.pooling == "max":
                weight = np.asarray(saturate(weight, terms.activation), dtype=np.float32)
            weights[i] = present.astype(np.int32), weight
    return weights


def _weights_of_tokens(
    session: Session, fitted: Sequence[FittedSequence], options: RunOptions
) -> Weights:
    """The number of each token that a sequence has, once, from a table that is the encoder."""
    weights: Weights = {}
    for i, states in session.hidden_states(fitted, [0], options):
        ids = fitted[i].tokenized.values[fitted[i].positions]
        tokens, first = np.unique(ids, return_index=True)
        weight = states[0, first, 0]
        weights[i] = tokens[weight != 0].astype(np.int32), weight[weight != 0]
    return weights


def _heaviest(
    tokens: np.ndarray, weight: np.ndarray, keep: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The `keep` tokens whose weights are largest, whatever their signs; None for all."""
    if keep is None or len(tokens) <= keep:
        return tokens, weight
    kept = np.sort(np.argsort(-np.abs(weight), kind="stable")[:keep])
    return tokens[kept], weight[kept]


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


def _pooled_logits(
    run: HeadRun, terms: TermWeighting, group: Sequence[np.ndarray], vocab_size: int
) -> np.ndarray:
    """The logits of each token, pooled over the positions of each sequence, (B, V).

    The largest of them, or the sum of their saturated values: NaN or infinite where a logit is. A
    few tokens at a time, for all positions: that order multiplies fastest, and the logits are still
    in the cache when they are pooled.
    """
    pooled_BV = np.empty((len(group), vocab_size), np.float32)
    x_ND = np.concatenate(group)
    ends = np.cumsum([len(x_LD) for x_LD in group]).tolist()
    for columns, logit_NO in run.outputs_by_column(x_ND, max(1, LOGIT_BYTES // (4 * len(x_ND)))):
        # One by one: NumPy's reduceat takes as long as the product.
        for row, (start, end) in enumerate(pairwise([0, *ends])):
            match terms.pooling:
                case "max":
                    logit_NO[start:end].max(axis=0, out=pooled_BV[row, columns])
                case "sum":
                    weight_LO = saturate(logit_NO[start:end], terms.activation)
                    weight_LO.sum(axis=0, out=pooled_BV[row, columns])
                case unknown:
                    assert_never(unknown)
    return pooled_BV

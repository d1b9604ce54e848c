"""What predictions give: labels with their probabilities, scores, tokens, weights of terms.

n sequences; L positions of one.
"""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from bothways.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Classified", "Filled", "Reranked", "Sparse", "Tagged"]


@dataclasses.dataclass(frozen=True, eq=False)
class Classified:
    """The labels of n sequences.

    labels: the most probable label of each; or, where a sequence may have several, the list of
        those that are probable enough.
    probabilities: float32 (n, labels); each row sums to 1, unless a sequence may have several.
    names: the labels in the order of the columns.
    truncated: whether the sequence was cut, bool (n,).
    """

    labels: list[str] | list[list[str]]
    probabilities: np.ndarray
    names: tuple[str, ...]
    truncated: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Tagged:
    """A label for each of L tokens, or words, of one sequence; special tokens have none.

    tokens: the tokens, or the words where those were given.
    offsets: for text and symbols, the characters of each token, int64 (L, 2); None for words, ids
        and series.
    labels: the most probable label of each. None for a word that has no token or was cut off.
    probabilities: float32 (L, labels), rows summing to 1; NaN where there is no label.
    names: the labels in the order of the columns.
    truncated: whether the sequence was cut.
    """

    tokens: list[str]
    offsets: np.ndarray | None
    labels: list[str | None]
    probabilities: np.ndarray
    names: tuple[str, ...]
    truncated: bool


@dataclasses.dataclass(frozen=True, eq=False)
class Filled:
    """The most probable tokens for one mask, best first.

    position: of the mask in the sequence, special tokens counted.
    tokens, ids: what could stand there. probabilities: float32, of the whole vocabulary.
    truncated: whether the sequence was cut.
    """

    position: int
    tokens: list[str]
    ids: np.ndarray
    probabilities: np.ndarray
    truncated: bool


@dataclasses.dataclass(frozen=True, eq=False)
class Reranked:
    """Documents by how well they answer a query.

    order: indices of the documents, best first, int64 (n,).
    scores: of each document, in the order given, float32 (n,): higher is better.
    truncated: whether query and document together were cut, bool (n,).
    """

    order: np.ndarray
    scores: np.ndarray
    truncated: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Sparse:
    """Weights of terms, row by row: of sequence i, `data[indptr[i] : indptr[i + 1]]`, all above 0.

    indices: which token each weight is of, int32, ascending in a row. indptr: int64 (n + 1,).
    data: float32. tokens: the name of each token of the vocabulary. truncated: whether the sequence
    was cut, bool (n,).
    """

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    tokens: tuple[str, ...]
    truncated: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Sequences and tokens of the vocabulary."""
        return len(self.indptr) - 1, len(self.tokens)

    def terms(self, row: int) -> dict[str, float]:
        """The weight of each term of a sequence, the heaviest first."""
        if not -self.shape[0] <= row < self.shape[0]:
            raise InputError(f"row {row}: expected {-self.shape[0]} to {self.shape[0] - 1}")
        row %= self.shape[0]
        own = slice(int(self.indptr[row]), int(self.indptr[row + 1]))
        order = np.argsort(-self.data[own], kind="stable")
        pairs = zip(self.indices[own][order], self.data[own][order], strict=True)
        return {self.tokens[index]: float(weight) for index, weight in pairs}

    def to_scipy(self) -> "csr_array":
        """The same as a matrix of SciPy, so that `queries @ documents.T` scores them.

        Raises:
            MissingExtra: if SciPy is not installed.
        """
        try:
            from scipy.sparse import csr_array
        except ImportError as error:
            raise MissingExtra("sklearn", "a matrix of SciPy") from error
        return csr_array((self.data, self.indices, self.indptr), shape=self.shape)

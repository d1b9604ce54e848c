"""MaxSim of many queries and documents, by matrix products over all of their tokens.

n queries with N tokens altogether, m documents with M tokens; D dimensions.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bothways.errors import InputError

__all__ = ["maxsim"]

_BLOCK_NUMBERS = 1 << 19
"""Dot products in memory at a time: 2 MiB, about a processor's cache."""


def maxsim(
    queries: np.ndarray | Sequence[np.ndarray], documents: np.ndarray | Sequence[np.ndarray]
) -> np.ndarray:
    """Score documents for queries, float32 (n, m), from the vectors of `Encoder.multi_vector`.

    The score is the sum over the query's tokens of the largest dot product with a token of the
    document (Khattab and Zaharia 2020, equation 3); 0 for a document without tokens.

    queries, documents: an array (tokens, D) each, or one such array alone, which has no axis in the
        result: (m,), (n,) or ().

    Raises:
        InputError: naming the query or document that is no such array, or has other dimensions.
    """
    one_query, one_document = _is_one(queries), _is_one(documents)
    each_query = _arrays([queries] if one_query else queries, "query")
    each_document = _arrays([documents] if one_document else documents, "document")
    _check_width([*each_query, *each_document], len(each_query))
    scores = _scores(each_query, each_document)
    if one_query:
        scores = scores[0]
    result: np.ndarray = scores[..., 0] if one_document else scores
    return result


def _scores(queries: list[np.ndarray], documents: list[np.ndarray]) -> np.ndarray:
    scores = np.zeros((len(queries), len(documents)), np.float32)
    q_lengths = np.array([len(query) for query in queries], np.int64)
    if not q_lengths.sum():
        return scores
    q_ND = np.concatenate(queries)
    filled = np.flatnonzero(q_lengths)
    q_starts = (np.cumsum(q_lengths) - q_lengths)[filled]
    rows = max(1, _BLOCK_NUMBERS // len(q_ND))
    for block in _blocks([len(document) for document in documents], rows):
        lengths = [len(documents[i]) for i in block]
        dots_MN = np.concatenate([documents[i] for i in block]) @ q_ND.T
        largest_mN = np.maximum.reduceat(dots_MN, np.cumsum([0, *lengths[:-1]]), axis=0)
        scores[np.ix_(filled, np.array(block))] = np.add.reduceat(largest_mN, q_starts, axis=1).T
    return scores


def _blocks(lengths: list[int], rows: int) -> list[list[int]]:
    """Indices of the documents of each block, of at most `rows` tokens; without empty documents."""
    blocks: list[list[int]] = []
    total = rows + 1
    for index, length in enumerate(lengths):
        if not length:
            continue
        if total + length > rows:
            blocks.append([])
            total = 0
        blocks[-1].append(index)
        total += length
    return blocks


def _is_one(vectors: Any) -> bool:
    return isinstance(vectors, np.ndarray) and vectors.ndim == 2 and vectors.dtype != object


def _arrays(each: Any, what: str) -> list[np.ndarray]:
    arrays = []
    for index, vectors in enumerate(each):
        array = np.asarray(vectors)
        if array.ndim != 2 or array.dtype.kind not in "fiu":
            raise InputError(
                f"{what} {index}: {array.dtype} array of shape {array.shape}; expected the vectors "
                "of its tokens, (tokens, dimensions)"
            )
        arrays.append(array.astype(np.float32, copy=False))
    return arrays


def _check_width(arrays: list[np.ndarray], num_queries: int) -> None:
    widths = [array.shape[1] for array in arrays]
    for index, width in enumerate(widths):
        if width != widths[0]:
            what = "query" if index < num_queries else "document"
            number = index if index < num_queries else index - num_queries
            raise InputError(f"{what} {number} has {width} dimensions, and the first {widths[0]}")

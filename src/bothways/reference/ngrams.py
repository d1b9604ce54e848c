"""Counts of n-grams, and the linear function of them that `linear_terms` adds to a head's outputs.

    φ_f = idf_f log(1 + count_f), divided by ‖φ‖ if normalized

n-grams are hashed into F buckets instead of being listed (Weinberger et al. 2009, "Feature hashing
for large scale multitask learning").

n sequences of ids, without special tokens; F buckets; E entries: the buckets that occur in each
sequence, sequence by sequence and ascending; O outputs.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bothways.model.linear_terms import BIAS, IDF, WEIGHT, NgramTerm

__all__ = ["NgramCounts", "count_ngrams", "ngram_features", "ngram_outputs"]

_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
"""Of FNV-1a with 64 bits, here over ids instead of bytes."""
_IDS_AT_A_TIME = 2**17
"""How many ids are counted together, which bounds memory."""
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: a product with it spreads a hash over its upper bits."""


class NgramCounts(NamedTuple):
    """How often n-grams of each bucket occur in sequences.

    starts: the first entry of each sequence, and E, int64 (n + 1,). buckets: int64 (E,).
    counts: at least 1, float64 (E,).
    """

    starts: np.ndarray
    buckets: np.ndarray
    counts: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """The sequence of each entry, int64 (E,)."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


def count_ngrams(sequences: Sequence[np.ndarray], term: NgramTerm) -> NgramCounts:
    """Count the n-grams of sequences of ids, each int64 (L,)."""
    if not len(sequences):
        return NgramCounts(np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0))
    ends = np.cumsum([len(ids) for ids in sequences])
    cuts = np.flatnonzero(np.diff(ends // _IDS_AT_A_TIME)) + 1
    bounds = [0, *cuts.tolist(), len(sequences)]
    parts = [_count(sequences[start:end], term) for start, end in itertools.pairwise(bounds)]
    entries = np.concatenate([np.diff(part.starts) for part in parts])
    return NgramCounts(
        np.concatenate([[0], np.cumsum(entries)]),
        np.concatenate([part.buckets for part in parts]),
        np.concatenate([part.counts for part in parts]),
    )


def ngram_features(counts: NgramCounts, idf_F: np.ndarray, term: NgramTerm) -> np.ndarray:
    """φ of each entry, float64 (E,)."""
    value_E = idf_F.astype(np.float64)[counts.buckets] * np.log1p(counts.counts)
    if not term.normalized:
        return np.asarray(value_E)
    square_n = np.bincount(counts.rows, value_E * value_E)
    norm_n = np.sqrt(np.where(square_n > 0, square_n, 1.0))
    return np.asarray(value_E / norm_n[counts.rows])


def ngram_outputs(counts: NgramCounts, w: Mapping[str, np.ndarray], term: NgramTerm) -> np.ndarray:
    """The term alone, W φ + b, for sequences whose n-grams are counted, float64 (n, O)."""
    weight_OF, bias_O = w[WEIGHT], w[BIAS]
    value_E, num_rows = ngram_features(counts, w[IDF], term), len(counts.starts) - 1
    output_nO = np.empty((num_rows, len(weight_OF)))
    for output, weight_F in enumerate(weight_OF):
        products_E = value_E * weight_F[counts.buckets]
        output_nO[:, output] = np.bincount(counts.rows, products_E, minlength=num_rows)
    return np.asarray(output_nO + bias_O)


def _count(sequences: Sequence[np.ndarray], term: NgramTerm) -> NgramCounts:
    """`count_ngrams` of a few sequences, at once."""
    lengths = np.array([len(ids) for ids in sequences], np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.concatenate(sequences).astype(np.uint64)
    row = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(ids)) - starts[row]
    if term.features == "positions":
        found = [(row, _hash([place.astype(np.uint64), ids]))]
    else:
        found = []
        for size in range(1, term.longest + 1):
            first = np.flatnonzero(place + size <= lengths[row])
            found.append((row[first], _hash([ids[first + step] for step in range(size)])))
    shift = np.uint64(64 - term.buckets.bit_length() + 1)
    keys = np.concatenate(
        [rows * term.buckets + (hashed >> shift).astype(np.int64) for rows, hashed in found]
    )
    keys, counts = np.unique(keys, return_counts=True)
    entries = np.bincount(keys // term.buckets, minlength=len(lengths))
    return NgramCounts(
        np.concatenate([[0], np.cumsum(entries)]),
        keys % term.buckets,
        counts.astype(np.float64),
    )


def _hash(parts: Sequence[np.ndarray]) -> np.ndarray:
    """A hash of tuples, given as one array for each place of the tuple, uint64."""
    hashed = np.full(len(parts[0]), _BASIS + np.uint64(len(parts)))
    for part in parts:
        hashed = (hashed ^ part) * _PRIME
        hashed ^= hashed >> np.uint64(29)
    return hashed * _SPREAD

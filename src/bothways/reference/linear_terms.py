"""The linear term of a head: a linear function of a sequence itself, added to the head's outputs.

    z = s layers(x) + W φ + b

It is the wide part of a wide and deep model (Cheng et al. 2016, "Wide & deep learning for
recommender systems", section 3): what single n-grams, or statistics of a series, say is learned
from few sequences; what depends on their context needs the encoder. φ are `ngrams.ngram_features`
of ids, or `series_features` of vectors.

n sequences, without special tokens; F features; O outputs.
"""

from collections.abc import Mapping, Sequence
from typing import assert_never

import numpy as np

from bothways.model.linear_terms import BIAS, WEIGHT, LinearTerm, NgramTerm, SeriesTerm
from bothways.reference.ngrams import NgramCounts, count_ngrams, ngram_outputs
from bothways.reference.series_features import series_features

__all__ = ["TermInputs", "add_linear_term", "term_inputs", "term_outputs"]

TermInputs = NgramCounts | np.ndarray
"""What a term is a function of: counts of n-grams, or the features of series (n, F)."""


def term_inputs(sequences: Sequence[np.ndarray], term: LinearTerm) -> TermInputs:
    """The counts or features of sequences, each ids (L,) or vectors (L, C)."""
    match term:
        case NgramTerm():
            return count_ngrams(sequences, term)
        case SeriesTerm():
            return series_features(sequences, term)
        case unknown:
            assert_never(unknown)


def term_outputs(inputs: TermInputs, w: Mapping[str, np.ndarray], term: LinearTerm) -> np.ndarray:
    """The term alone, W φ + b, float64 (n, O)."""
    if isinstance(term, NgramTerm) and isinstance(inputs, NgramCounts):
        return ngram_outputs(inputs, w, term)
    if isinstance(inputs, np.ndarray):
        output_nO = inputs @ w[WEIGHT].astype(np.float64).T
        return np.asarray(output_nO + w[BIAS])
    raise TypeError("counts of n-grams are for an n-gram term")


def add_linear_term(
    output_nO: np.ndarray,
    sequences: Sequence[np.ndarray],
    w: Mapping[str, np.ndarray],
    term: LinearTerm,
) -> np.ndarray:
    """The outputs of a head with a linear term, float64 (n, O), from those of its layers."""
    if not len(sequences):
        return output_nO.astype(np.float64)
    of_term_nO = term_outputs(term_inputs(sequences, term), w, term)
    return np.asarray(term.layers_scale * output_nO.astype(np.float64) + of_term_nO)

"""The n-gram term of a head, against counting with dictionaries."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from bothways.model.heads import NgramTerm
from bothways.reference.ngrams import add_ngram_term, count_ngrams, ngram_features, ngram_outputs

SEQUENCES = [np.array(ids) for ids in ([3, 1, 3, 1, 3], [], [2], [1, 3, 1, 2])]


def term(**fields: Any) -> NgramTerm:
    defaults: dict[str, Any] = {
        "features": "counts", "longest": 3, "buckets": 2**16, "normalized": True,
        "layers_scale": 0.5,
    }  # fmt: skip
    return NgramTerm(**defaults | fields)


def weights(term: NgramTerm, outputs: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = ((outputs, term.buckets), (outputs,), (term.buckets,))
    return {
        name: rng.random(shape, np.float32) for name, shape in zip(term.names, shapes, strict=True)
    }


@pytest.mark.parametrize("longest", [1, 2, 3])
def test_counts_are_those_of_each_ngram(longest: int) -> None:
    counts = count_ngrams(SEQUENCES, term(longest=longest))
    for row, ids in enumerate(SEQUENCES):
        expected = Counter(
            tuple(ids[start : start + size].tolist())
            for size in range(1, longest + 1)
            for start in range(len(ids) - size + 1)
        )
        found = counts.counts[counts.starts[row] : counts.starts[row + 1]]
        assert sorted(found.tolist()) == sorted(expected.values())


def test_equal_ngrams_share_a_bucket_and_others_do_not() -> None:
    (first, second) = (count_ngrams([np.array(ids)], term(longest=2)) for ids in ([5, 6], [6, 5]))
    assert len(set(first.buckets) & set(second.buckets)) == 2
    assert len(set(first.buckets) | set(second.buckets)) == 4


def test_ids_at_positions_are_told_apart() -> None:
    counts = count_ngrams(
        [np.array([5, 5]), np.array([5, 6])], term(features="positions", longest=1)
    )
    assert counts.counts.tolist() == [1, 1, 1, 1]
    first, second = (set(counts.buckets[start : start + 2]) for start in (0, 2))
    assert len(first) == 2
    assert len(first & second) == 1


@pytest.mark.parametrize("normalized", [True, False])
def test_the_term_is_its_formula(normalized: bool) -> None:
    chosen = term(normalized=normalized)
    w = weights(chosen)
    weight_OF, bias_O, idf_F = (w[name].astype(float) for name in chosen.names)
    layers_nO = np.arange(8.0).reshape(4, 2)
    result = add_ngram_term(layers_nO, SEQUENCES, w, chosen)
    counts = count_ngrams(SEQUENCES, chosen)
    for row in range(4):
        entries = range(counts.starts[row], counts.starts[row + 1])
        phi = {e: idf_F[counts.buckets[e]] * math.log(1 + counts.counts[e]) for e in entries}
        length = math.hypot(*phi.values()) if normalized and phi else 1.0
        for output in range(2):
            value = sum(p / length * weight_OF[output, counts.buckets[e]] for e, p in phi.items())
            expected = 0.5 * layers_nO[row, output] + value + bias_O[output]
            assert result[row, output] == pytest.approx(expected, rel=1e-12)


def test_ngrams_without_weight_do_not_count() -> None:
    chosen = term(longest=1)
    counts = count_ngrams([np.array([1, 2])], chosen)
    idf_F = np.zeros(chosen.buckets, np.float32)
    idf_F[counts.buckets[0]] = 2
    assert ngram_features(counts, idf_F, chosen).tolist() == [1, 0]


def test_outputs_do_not_depend_on_other_sequences() -> None:
    chosen = term()
    w = weights(chosen)
    together = ngram_outputs(count_ngrams(SEQUENCES, chosen), w, chosen)
    for row, ids in enumerate(SEQUENCES):
        (alone,) = ngram_outputs(count_ngrams([ids], chosen), w, chosen)
        assert np.array_equal(together[row], alone)


def test_no_sequences_have_no_outputs() -> None:
    chosen = term()
    assert add_ngram_term(np.zeros((0, 2)), [], weights(chosen), chosen).shape == (0, 2)

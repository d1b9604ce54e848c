"""Linear terms of heads, against counting with dictionaries and against statistics by name."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from bothways.model.linear_terms import BIAS, IDF, WEIGHT, NgramTerm, SeriesTerm
from bothways.reference.linear_terms import add_linear_term, term_inputs, term_outputs
from bothways.reference.ngrams import count_ngrams, ngram_features, ngram_outputs
from bothways.reference.series_features import series_features

SEQUENCES = [np.array(ids) for ids in ([3, 1, 3, 1, 3], [], [2], [1, 3, 1, 2])]


def term(**fields: Any) -> NgramTerm:
    defaults: dict[str, Any] = {
        "features": "counts", "longest": 3, "buckets": 2**16, "normalized": True,
        "layers_scale": 0.5,
    }  # fmt: skip
    return NgramTerm(**defaults | fields)


def weights(term: NgramTerm, outputs: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    layout = term.layout(outputs, 0)
    return {name: rng.random(shape, np.float32) for name, shape in layout.items()}


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
    weight_OF, bias_O, idf_F = (w[name].astype(float) for name in (WEIGHT, BIAS, IDF))
    layers_nO = np.arange(8.0).reshape(4, 2)
    result = add_linear_term(layers_nO, SEQUENCES, w, chosen)
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
    assert add_linear_term(np.zeros((0, 2)), [], weights(chosen), chosen).shape == (0, 2)


SERIES = [np.random.default_rng(i).standard_normal((6, 2)) for i in range(3)]


def test_moments_of_a_series_are_by_channel() -> None:
    features = series_features(SERIES, SeriesTerm(features="moments", length=0, layers_scale=1.0))
    assert features.shape == (3, 6)
    (first, *_) = SERIES
    expected = [*first.mean(axis=0), *first.std(axis=0), *first.max(axis=0)]
    assert features[0] == pytest.approx(expected)


def test_a_summary_of_a_series_has_its_statistics() -> None:
    term = SeriesTerm(features="summary", length=0, layers_scale=1.0)
    line = np.linspace(0, 1, 11)[:, None]
    (features,) = series_features([line], term)
    mean, std, first, last, slope, step, step_std, turns, *quantiles, length = features
    assert (mean, first, last, length) == pytest.approx((0.5, 0, 1, 11))
    assert std == pytest.approx(line.std())
    assert (slope, step, step_std, turns) == pytest.approx((0.5, 0.1, 0, 0), abs=1e-12)
    assert quantiles == pytest.approx([0, 0.1, 0.25, 0.5, 0.75, 0.9, 1])
    assert np.isfinite(series_features([line[:1]], term)).all()


def test_positions_of_a_series_are_cut_and_filled_with_zeros() -> None:
    term = SeriesTerm(features="positions", length=3, layers_scale=1.0)
    short, long = np.ones((2, 2)), np.arange(8.0).reshape(4, 2)
    features = series_features([short, long], term)
    assert features.tolist() == [[1, 1, 1, 1, 0, 0], [0, 1, 2, 3, 4, 5]]


def test_a_series_term_is_a_linear_function_of_its_features() -> None:
    term = SeriesTerm(features="moments", length=0, layers_scale=0.25)
    w = {WEIGHT: np.eye(2, 6, dtype=np.float32), BIAS: np.array([1, 2], np.float32)}
    result = add_linear_term(np.full((3, 2), 8.0), SERIES, w, term)
    assert result == pytest.approx(2 + np.stack([s.mean(axis=0) for s in SERIES]) + [1, 2])
    alone = term_outputs(term_inputs(SERIES[1:2], term), w, term)
    assert alone[0] + 2 == pytest.approx(result[1])

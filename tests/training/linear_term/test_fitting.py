"""Linear models of whole sequences, against those of scikit-learn on the same features."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bothways.model.linear_terms import IDF, NgramTerm, SeriesTerm
from bothways.reference.ngrams import count_ngrams, ngram_features
from bothways.reference.series_features import series_features
from bothways.training.data.examples import TargetForm
from bothways.training.linear_term.fitting import Recipe, choose_recipe, fit_term

RNG = np.random.default_rng(0)
SEQUENCES = [RNG.integers(0, 4, RNG.integers(5, 12)) for _ in range(60)]
COUNTS = np.array([(ids == 1).sum() for ids in SEQUENCES])


def term(*, normalized: bool) -> NgramTerm:
    return NgramTerm(
        features="counts", longest=2, buckets=2**10, normalized=normalized, layers_scale=0.0
    )


def features(chosen: NgramTerm, idf_F: np.ndarray) -> csr_array:
    counts = count_ngrams(SEQUENCES, chosen)
    values = ngram_features(counts, idf_F, chosen)
    return csr_array((values, counts.buckets, counts.starts), shape=(60, chosen.buckets))


def test_classes_are_those_of_logistic_regression() -> None:
    target = np.minimum(COUNTS, 2)
    recipe = Recipe(term(normalized=True), 0.5)
    fitted = fit_term(SEQUENCES, target, "class", 3, recipe)
    matrix = features(term(normalized=True), fitted.arrays[IDF])
    theirs = LogisticRegression(C=2.0, max_iter=5000, tol=1e-8).fit(matrix, target)
    output = fitted.outputs(SEQUENCES)
    share = np.exp(output) / np.exp(output).sum(axis=1, keepdims=True)
    assert np.allclose(share, theirs.predict_proba(matrix), atol=2e-4)


def test_values_are_those_of_ridge_regression() -> None:
    target = (COUNTS - COUNTS.mean())[:, None] + RNG.standard_normal((60, 1))
    recipe = Recipe(term(normalized=False), 3.0)
    fitted = fit_term(SEQUENCES, target, "values", 1, recipe)
    matrix = features(term(normalized=False), fitted.arrays[IDF])
    theirs = Ridge(alpha=3.0, tol=1e-10).fit(matrix.toarray(), target[:, 0])
    assert np.allclose(fitted.outputs(SEQUENCES)[:, 0], theirs.predict(matrix.toarray()), atol=5e-3)


def test_several_labels_are_separate_models() -> None:
    labels = np.stack([COUNTS > 2, COUNTS > 1], axis=1).astype(np.uint8)
    recipe = Recipe(term(normalized=True), 1.0)
    both = fit_term(SEQUENCES, labels, "labels", 2, recipe).outputs(SEQUENCES)
    for column in range(2):
        one = fit_term(SEQUENCES, labels[:, column : column + 1], "labels", 1, recipe)
        assert np.allclose(both[:, column], one.outputs(SEQUENCES)[:, 0], atol=1e-3)


@pytest.mark.parametrize(("form", "place"), [("class", 2), ("values", 0)])
def test_positions_are_chosen_where_they_decide(form: TargetForm, place: int) -> None:
    sequences = [RNG.integers(0, 4, 6) for _ in range(80)]
    symbol = np.array([ids[place] for ids in sequences])
    is_class = form == "class"
    target = symbol if is_class else (symbol - 1.5)[:, None]
    recipe = choose_recipe(sequences, target, form, 4 if is_class else 1, seed=0)
    assert recipe.term.features == "positions"


def test_counts_are_chosen_where_positions_do_not_correspond() -> None:
    recipe = choose_recipe(SEQUENCES, np.minimum(COUNTS, 2), "class", 3, seed=0)
    assert recipe.term.features == "counts"


def test_a_model_of_series_is_that_of_standardized_features() -> None:
    series = [RNG.standard_normal((RNG.integers(3, 9), 2)) + np.array([5, 0]) for _ in range(40)]
    for each in series:
        each[:, 1] = 1.0  # a constant channel, whose features have no deviation
    target = np.array([[each[:, 0].mean()] for each in series])
    chosen = SeriesTerm(features="moments", length=0, layers_scale=0.0)
    fitted = fit_term(series, target, "values", 1, Recipe(chosen, 2.0))
    matrix = series_features(series, chosen)
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=2.0)).fit(matrix, target[:, 0])
    assert np.allclose(fitted.outputs(series)[:, 0], theirs.predict(matrix), atol=5e-3)


def test_positions_of_series_are_chosen_where_they_decide() -> None:
    series = [RNG.standard_normal((8, 1)) for _ in range(90)]
    target = np.array([[each[2, 0] - each[5, 0]] for each in series])
    assert choose_recipe(series, target, "values", 1, seed=0).term.features == "positions"


def test_wide_features_are_left_out_where_weights_would_be_too_many() -> None:
    series = [RNG.standard_normal((8, 3000)) for _ in range(12)]
    target = np.arange(12) % 2
    assert choose_recipe(series, target, "class", 2, seed=0).term.features == "moments"


def test_ngrams_that_no_row_has_count_nothing() -> None:
    recipe = Recipe(term(normalized=True), 1.0)
    fitted = fit_term(SEQUENCES, np.minimum(COUNTS, 2), "class", 3, recipe)
    known, with_unknown = fitted.outputs([np.array([1, 2]), np.array([1, 2, 9])])
    assert np.allclose(known, with_unknown)

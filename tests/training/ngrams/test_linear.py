"""Linear models of n-grams, against those of scikit-learn on the same features."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression, Ridge

from bothways.model.heads import NgramTerm
from bothways.reference.ngrams import count_ngrams, ngram_features
from bothways.training.data.examples import TargetForm
from bothways.training.ngrams.linear import Recipe, choose_recipe, fit_ngrams

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
    fitted = fit_ngrams(SEQUENCES, target, "class", 3, recipe)
    matrix = features(recipe.term, fitted.arrays[recipe.term.names[2]])
    theirs = LogisticRegression(C=2.0, max_iter=5000, tol=1e-8).fit(matrix, target)
    output = fitted.outputs(SEQUENCES)
    share = np.exp(output) / np.exp(output).sum(axis=1, keepdims=True)
    assert np.allclose(share, theirs.predict_proba(matrix), atol=2e-4)


def test_values_are_those_of_ridge_regression() -> None:
    target = (COUNTS - COUNTS.mean())[:, None] + RNG.standard_normal((60, 1))
    recipe = Recipe(term(normalized=False), 3.0)
    fitted = fit_ngrams(SEQUENCES, target, "values", 1, recipe)
    matrix = features(recipe.term, fitted.arrays[recipe.term.names[2]])
    theirs = Ridge(alpha=3.0, tol=1e-10).fit(matrix.toarray(), target[:, 0])
    assert np.allclose(fitted.outputs(SEQUENCES)[:, 0], theirs.predict(matrix.toarray()), atol=5e-3)


def test_several_labels_are_separate_models() -> None:
    labels = np.stack([COUNTS > 2, COUNTS > 1], axis=1).astype(np.uint8)
    recipe = Recipe(term(normalized=True), 1.0)
    both = fit_ngrams(SEQUENCES, labels, "labels", 2, recipe).outputs(SEQUENCES)
    for column in range(2):
        one = fit_ngrams(SEQUENCES, labels[:, column : column + 1], "labels", 1, recipe)
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


def test_ngrams_that_no_row_has_count_nothing() -> None:
    recipe = Recipe(term(normalized=True), 1.0)
    fitted = fit_ngrams(SEQUENCES, np.minimum(COUNTS, 2), "class", 3, recipe)
    known, with_unknown = fitted.outputs([np.array([1, 2]), np.array([1, 2, 9])])
    assert np.allclose(known, with_unknown)

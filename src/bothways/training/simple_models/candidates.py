"""The simple models of scikit-learn for each kind of sequence and each kind of target.

Everything here needs scikit-learn; only `comparison` imports it, where it is installed.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifierCV, RidgeCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from bothways.training.simple_models.features import (
    flat,
    ngrams,
    random_convolutions,
    same_length,
    summary,
)

__all__ = ["Candidate", "Target", "of_series", "of_symbols", "of_texts", "of_vectors"]

Target = Literal["class", "labels", "values"]

Prepare = Callable[[Sequence[Any]], Any]

_TREES = 100
_MAX_FLAT = 4000
"""Positions times channels up to which aligned series are features as they are."""
_MAX_WEIGHTS = 5_000_000
"""Weights of a linear model: with many classes, fewer n-grams."""
_ALPHAS = np.logspace(-2, 4, 7)
_WORD = r"(?u)\b\w+\b"
"""Words of one letter count too; the default of scikit-learn leaves them out."""


@dataclasses.dataclass(frozen=True, eq=False)
class Candidate:
    """A simple model that can be fitted: an estimator of scikit-learn, and its name in reports.

    prepare: makes the estimator's input from sequences, row by row, so that cross-validation
    computes it once; None for sequences as they are.
    """

    name: str
    estimator: Any
    prepare: Prepare | None = None


def of_texts(target: Target, num_labels: int) -> Iterator[Candidate]:
    """TF-IDF of words, pairs of words and character n-grams, with a linear model."""
    size = min(50_000, _MAX_WEIGHTS // num_labels)
    features = make_union(
        TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, token_pattern=_WORD, max_features=size
        ),
        TfidfVectorizer(
            analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, max_features=size
        ),
    )
    if target == "values":
        yield Candidate("TF-IDF with ridge regression", make_pipeline(features, Ridge()))
    else:
        yield from _logistic("TF-IDF", features, target, strengths=(10.0,))


def of_symbols(
    target: Target, num_labels: int, sequences: Sequence[np.ndarray]
) -> Iterator[Candidate]:
    """Counts of n-grams; where all sequences have one length, also the symbol at each position."""
    size = min(20_000, _MAX_WEIGHTS // num_labels)
    if same_length(sequences):
        one_hot = OneHotEncoder(handle_unknown="ignore", dtype=np.float32)
        name = "one-hot positions"
        if target == "values":
            yield from _ridge(name, one_hot, alphas=(1.0, 10.0), prepare=flat)
        else:
            yield from _logistic(name, one_hot, target, strengths=(0.1, 1.0), prepare=flat)
        yield _forest(name, one_hot, target, prepare=flat)
    counts = CountVectorizer(analyzer=ngrams, max_features=size)
    name = "n-gram counts"
    if target == "values":
        logs = make_pipeline(counts, FunctionTransformer(_log))
        yield from _ridge(name, logs, alphas=(1.0, 30.0))
    else:
        scaled = make_pipeline(counts, TfidfTransformer(sublinear_tf=True))
        yield from _logistic(name, scaled, target, strengths=(10.0,))
    yield _forest(name, CountVectorizer(analyzer=ngrams, max_features=1000), target)


def of_series(target: Target, series: Sequence[np.ndarray]) -> Iterator[Candidate]:
    """Summary statistics, random convolutions and, where aligned, the values themselves."""
    shortest = min(len(each) for each in series)
    convolutions = partial(random_convolutions, shortest=shortest)
    prepared: list[tuple[str, Prepare]] = [("summary features", summary)]
    if same_length(series) and series[0].size <= _MAX_FLAT:
        prepared.append(("values by position", flat))
    for name, prepare in prepared:
        yield _ridge_or_logistic(name, target, prepare)
        yield _forest(name, FunctionTransformer(), target, prepare=prepare)
    name = "random convolutions"
    if target == "class":
        ridge = make_pipeline(StandardScaler(), RidgeClassifierCV(_ALPHAS))
        yield Candidate(f"{name} with ridge regression", ridge, convolutions)
    else:
        yield _ridge_or_logistic(name, target, convolutions)


def of_vectors(target: Target) -> Iterator[Candidate]:
    """A linear model on vectors: a linear probe."""
    if target == "values":
        yield _ridge_or_logistic("frozen vectors", target, np.stack)
    else:
        yield from _logistic(
            "frozen vectors", StandardScaler(), target, strengths=(0.001, 0.01, 0.1),
            prepare=np.stack,
        )  # fmt: skip


def _logistic(
    name: str,
    features: Any,
    target: Target,
    *,
    strengths: Sequence[float],
    prepare: Prepare | None = None,
) -> Iterator[Candidate]:
    """Logistic regression. strengths: inverse strengths of regularization."""
    for strength in strengths:
        logistic = LogisticRegression(C=strength, max_iter=300)
        model = logistic if target == "class" else OneVsRestClassifier(logistic)
        estimator = make_pipeline(features, model)
        yield Candidate(f"{name} with logistic regression", estimator, prepare)


def _ridge(
    name: str, features: Any, *, alphas: Sequence[float], prepare: Prepare | None = None
) -> Iterator[Candidate]:
    for alpha in alphas:
        estimator = make_pipeline(features, Ridge(alpha=alpha))
        yield Candidate(f"{name} with ridge regression", estimator, prepare)


def _ridge_or_logistic(name: str, target: Target, prepare: Prepare) -> Candidate:
    """A linear model on standardized features."""
    if target == "values":
        ridge = make_pipeline(StandardScaler(), RidgeCV(_ALPHAS))
        return Candidate(f"{name} with ridge regression", ridge, prepare)
    (logistic,) = _logistic(name, StandardScaler(), target, strengths=(0.1,), prepare=prepare)
    return logistic


def _forest(
    name: str, features: Any, target: Target, *, prepare: Prepare | None = None
) -> Candidate:
    forest = RandomForestRegressor if target == "values" else RandomForestClassifier
    share = 1 / 3 if target == "values" else "sqrt"  # Breiman 2001, and its R package
    model = forest(n_estimators=_TREES, random_state=0, max_features=share, n_jobs=1)
    return Candidate(f"{name} with a random forest", make_pipeline(features, model), prepare)


def _log(counts: Any) -> Any:
    return counts.log1p()

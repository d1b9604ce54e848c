"""Simple models of a run: fitted to its training rows, with their predictions for held-out rows.

n training rows; m held-out rows; K labels; V values; D width of vectors.
"""

import dataclasses
import math
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from bothways.training.data.dataset import IGNORED
from bothways.training.data.examples import PackedExamples

if TYPE_CHECKING:
    from bothways.training.simple_models.candidates import Candidate

__all__ = ["SimpleModel", "can_fit", "choose_rows", "constant", "fit", "most_frequent_tags"]

MAX_ROWS = 20_000
"""Most training rows of a simple model, so that it is fitted in seconds."""

_SELECTION_ROWS = 2000
"""Most training rows that choose among several simple models."""
_FOLDS = 3


@dataclasses.dataclass(frozen=True, eq=False)
class SimpleModel:
    """A fitted simple model.

    name: in reports. rows: of training. predicted: for the held-out rows in their order: classes
    (m,), labels as bool (m, K), values (m, V), or the tags of all positions.
    """

    name: str
    rows: int
    predicted: np.ndarray


def can_fit() -> bool:
    """Whether scikit-learn is installed, which all simple models but the constant ones need."""
    return find_spec("sklearn") is not None


def choose_rows(num_rows: int, *, seed: int) -> np.ndarray:
    """The training rows of simple models, sorted int64: all, or a sample of 20,000."""
    if num_rows <= MAX_ROWS:
        return np.arange(num_rows)
    return np.sort(np.random.default_rng(seed).choice(num_rows, MAX_ROWS, replace=False))


def constant(train: PackedExamples, held_out: PackedExamples) -> SimpleModel:
    """The most frequent class, the labels of more than half the rows, or the mean."""
    target = _targets(train)
    best: Any
    match train.form:
        case "class":
            name, best = "the most frequent class", np.bincount(target).argmax()
        case "labels":
            name, best = "the labels of most rows", target.mean(axis=0) > 0.5
        case "values":
            name, best = "the mean", target.mean(axis=0, dtype=np.float64)
        case form:
            raise ValueError(f"no constant prediction of {form}")
    shape = (len(held_out), *np.shape(best))
    return SimpleModel(name, len(train), np.broadcast_to(best, shape))


def fit(
    candidates: Sequence["Candidate"],
    inputs: Sequence[Any],
    target: np.ndarray,
    held_out: Sequence[Any],
    *,
    always_score: bool = False,
) -> tuple[SimpleModel, float] | None:
    """Choose a simple model by cross-validation on the training rows, and fit it to all of them.

    inputs: of the training rows. target: classes (n,), labels (n, K) or values (n, V).
    held_out: the inputs of the held-out rows. always_score: also cross-validate a single candidate.
    Returns the model and its mean score in cross-validation, NaN without one or with too few rows;
    None if the inputs have no features, as texts without words.
    """
    scores = np.full(len(candidates), np.nan)
    prepared = cache(lambda prepare: (prepare(inputs), prepare(held_out)))
    pairs = [
        (inputs, held_out) if each.prepare is None else prepared(each.prepare)
        for each in candidates
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a model that has not converged is good enough
        if len(candidates) > 1 or always_score:
            scores = np.array(
                [
                    _selection_score(each.estimator, features, target)
                    for each, (features, _) in zip(candidates, pairs, strict=True)
                ]
            )
        best = 0 if np.isnan(scores).all() else int(np.nanargmax(scores))
        try:
            estimator = candidates[best].estimator.fit(pairs[best][0], target)
        except ValueError:
            return None
        predicted = np.asarray(estimator.predict(pairs[best][1]))
    if target.ndim == 2:
        predicted = predicted.reshape(len(held_out), target.shape[1])
    return SimpleModel(candidates[best].name, len(inputs), predicted), float(scores[best])


def most_frequent_tags(
    train: PackedExamples, held_out: PackedExamples, order: np.ndarray
) -> SimpleModel:
    """Each word's most frequent tag; of unknown words, the most frequent tag of all.

    A word is its tokens: those from a labeled position to the next one. order: of the held-out
    examples in the predictions.
    """
    by_word: dict[tuple[Any, ...], Counter[int]] = defaultdict(Counter)
    total: Counter[int] = Counter()
    for word, tag in _tagged_words(train, range(len(train))):
        by_word[word][tag] += 1
        total[tag] += 1
    best = {word: tags.most_common(1)[0][0] for word, tags in by_word.items()}
    common = total.most_common(1)[0][0]
    predicted = [best.get(word, common) for word, _ in _tagged_words(held_out, order.tolist())]
    return SimpleModel("each word's most frequent tag", len(train), np.array(predicted))


def _tagged_words(
    examples: PackedExamples, order: Iterable[int]
) -> Iterator[tuple[tuple[Any, ...], int]]:
    """The tokens and the tag of each word."""
    for index in order:
        example = examples[index]
        (sequence,) = example.sequences
        if example.target is None:
            raise ValueError(f"{example.place}: expected one tag for each position")
        starts = np.flatnonzero(example.target != IGNORED)
        end = sequence.content.stop
        for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), end], strict=True):
            values = sequence.values[start:stop]
            yield tuple(values.ravel().tolist()), int(example.target[start])


def _selection_score(estimator: Any, inputs: Any, target: np.ndarray) -> float:
    """The mean score of an estimator in cross-validation; NaN if there are too few rows."""
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score

    num_rows = len(target)
    chosen = np.random.default_rng(0).permutation(num_rows)[:_SELECTION_ROWS]
    labels = target[chosen]
    if len(chosen) < 2 * _FOLDS:
        return math.nan
    splits: Any = KFold(_FOLDS)
    if target.ndim == 1:
        counts = np.unique(labels, return_counts=True)[1]
        if len(counts) < 2:
            return math.nan
        if counts.min() >= _FOLDS:
            splits = StratifiedKFold(_FOLDS)
    is_array = isinstance(inputs, np.ndarray)
    rows = inputs[chosen] if is_array else [inputs[index] for index in chosen.tolist()]
    scoring = "accuracy" if target.ndim == 1 else "r2" if target.dtype.kind == "f" else "f1_micro"
    scores = cross_val_score(
        estimator, rows, labels, cv=splits, scoring=scoring, error_score=np.nan
    )
    return float(scores.mean())


def _targets(examples: PackedExamples) -> np.ndarray:
    if examples.targets is None:
        raise ValueError("the examples have no targets")
    return examples.targets

"""Linear models of n-grams: fitted by L-BFGS, and chosen by cross-validation.

n sequences of ids; F buckets, of which U occur in the training sequences; O outputs.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bothways.model.heads import NgramFeatures, NgramTerm
from bothways.reference.ngrams import NgramCounts, count_ngrams, ngram_features, ngram_outputs
from bothways.training.data.examples import TargetForm
from bothways.training.engine.step import backward
from bothways.training.objectives.ngrams import FittedNgrams

__all__ = ["OutputLoss", "Recipe", "choose_recipe", "fit_ngrams", "loss_of", "to_tensor"]

OutputLoss = Callable[[Tensor, Tensor], Tensor]
"""The loss of outputs (n, O), summed over n targets."""

_FOLDS = 3
_SELECTION_IDS = 2**17
"""Ids in the training rows that choose a recipe, at most."""
_ITERATIONS = 100
_MAX_WEIGHTS = 2**20
_WORDS = 1000
"""Ids from here on are taken for words: of few symbols, longer n-grams say more."""
_LENGTHS_OF_WORDS, _LENGTHS_OF_SYMBOLS = (1, 2), (1, 2, 4)
"""Ids of the longest n-gram."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Features, and the strength of the L2 penalty on their weights."""

    term: NgramTerm
    strength: float


def loss_of(form: TargetForm) -> OutputLoss:
    """The loss that suits targets of this form: class, labels or values."""
    match form:
        case "class":
            return lambda output, target: functional.cross_entropy(output, target, reduction="sum")
        case "labels":
            return lambda output, target: functional.binary_cross_entropy_with_logits(
                output, target, reduction="sum"
            )
        case "values":
            return lambda output, target: functional.mse_loss(output, target, reduction="sum") / 2
    raise ValueError(f"no loss for targets of form {form}")


def choose_recipe(
    sequences: Sequence[np.ndarray],
    target: np.ndarray,
    form: TargetForm,
    num_outputs: int,
    *,
    seed: int,
) -> Recipe:
    """Choose features and penalty by cross-validation.

    target: classes, int64 (n,); labels, 0 or 1 (n, O); or standardized values (n, O).
    """
    recipes = _recipes(sequences, form, num_outputs)
    order = np.random.default_rng(seed).permutation(len(sequences))
    ids_before = np.cumsum([len(sequences[row]) for row in order.tolist()])
    chosen = order[: max(np.searchsorted(ids_before, _SELECTION_IDS), 2 * _FOLDS)]
    sequences, target = [sequences[row] for row in chosen.tolist()], target[chosen]
    fold_n = np.arange(len(chosen)) % _FOLDS
    counts_of = {each.term: count_ngrams(sequences, each.term) for each in recipes}
    losses = [
        _loss_outside(counts_of[each.term], target, form, num_outputs, each, fold_n)
        for each in recipes
    ]
    return recipes[int(np.argmin(losses))]


def fit_ngrams(
    sequences: Sequence[np.ndarray],
    target: np.ndarray,
    form: TargetForm,
    num_outputs: int,
    recipe: Recipe,
) -> FittedNgrams:
    """Fit the linear model of a recipe; arguments as in `choose_recipe`."""
    return _fit(count_ngrams(sequences, recipe.term), target, form, num_outputs, recipe)


def _loss_outside(
    counts: NgramCounts,
    target: np.ndarray,
    form: TargetForm,
    num_outputs: int,
    recipe: Recipe,
    fold_n: np.ndarray,
) -> float:
    """The loss of each fold by a model of the other folds, summed."""
    total = 0.0
    for fold in range(_FOLDS):
        inside, outside = np.flatnonzero(fold_n != fold), np.flatnonzero(fold_n == fold)
        fitted = _fit(_rows(counts, inside), target[inside], form, num_outputs, recipe)
        output = ngram_outputs(_rows(counts, outside), fitted.arrays, fitted.term)
        total += float(loss_of(form)(torch.from_numpy(output), to_tensor(target[outside], form)))
    return total


def _recipes(sequences: Sequence[np.ndarray], form: TargetForm, num_outputs: int) -> list[Recipe]:
    """The candidates, with penalties of the linear ones of `simple_models.candidates`."""
    buckets = 2**15
    while buckets * num_outputs > _MAX_WEIGHTS and buckets > 2**8:
        buckets //= 2
    is_value = form == "values"
    are_words = max(int(ids.max(initial=0)) for ids in sequences) >= _WORDS
    recipes = [
        Recipe(_term("counts", longest, buckets, normalized=not is_value), strength)
        for longest in (_LENGTHS_OF_WORDS if are_words else _LENGTHS_OF_SYMBOLS)
        for strength in ((1.0, 30.0) if is_value else (0.1, 1.0))
    ]
    if len({len(ids) for ids in sequences}) == 1:
        places = _term("positions", 1, buckets, normalized=False)
        recipes += [Recipe(places, strength) for strength in (0.5, 5.0)]
    return recipes


def _term(features: NgramFeatures, longest: int, buckets: int, *, normalized: bool) -> NgramTerm:
    return NgramTerm(
        features=features,
        longest=longest,
        buckets=buckets,
        normalized=normalized,
        layers_scale=0.0,
    )


def _fit(
    counts: NgramCounts,
    target: np.ndarray,
    form: TargetForm,
    num_outputs: int,
    recipe: Recipe,
) -> FittedNgrams:
    """Fit a linear model with a penalty of strength / 2 ‖W‖²."""
    loss, targets = loss_of(form), to_tensor(target, form)
    term = recipe.term
    idf_F = _idf(counts, term)
    used_U = np.flatnonzero(idf_F)
    column_E = torch.from_numpy(np.searchsorted(used_U, counts.buckets))
    value_E = torch.from_numpy(ngram_features(counts, idf_F, term))
    first_n = torch.from_numpy(counts.starts[:-1])
    weight_UO = torch.zeros(len(used_U), num_outputs, dtype=torch.float64, requires_grad=True)
    bias_O = torch.zeros(num_outputs, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight_UO, bias_O], max_iter=_ITERATIONS, line_search_fn="strong_wolfe",
        tolerance_grad=1e-3, tolerance_change=1e-5,
    )  # fmt: skip

    def evaluate() -> Tensor:
        optimizer.zero_grad()
        output_nO = bias_O + functional.embedding_bag(
            column_E, weight_UO, first_n, mode="sum", per_sample_weights=value_E
        )
        total = loss(output_nO, targets)
        total = total + recipe.strength / 2 * (weight_UO**2).sum()
        backward(total)
        return total

    optimizer.step(evaluate)  # type: ignore[no-untyped-call]
    weight_OF = np.zeros((num_outputs, term.buckets), np.float32)
    weight_OF[:, used_U] = weight_UO.detach().numpy().T
    bias = bias_O.detach().numpy().astype(np.float32)
    return FittedNgrams(term, dict(zip(term.names, (weight_OF, bias, idf_F), strict=True)))


def to_tensor(target: np.ndarray, form: TargetForm) -> Tensor:
    """Targets as the loss takes them: classes as int64, others as float64."""
    targets = torch.from_numpy(np.ascontiguousarray(target))
    return targets.long() if form == "class" else targets.double()


def _idf(counts: NgramCounts, term: NgramTerm) -> np.ndarray:
    """log((1 + n) / (1 + sequences with the bucket)) + 1, and 0 for buckets without any.

    Spärck Jones 1972, "A statistical interpretation of term specificity and its application in
    retrieval", smoothed as in scikit-learn's `TfidfTransformer`; 1 where features keep their scale.
    """
    frequency_F = np.bincount(counts.buckets, minlength=term.buckets)
    idf_F = np.ones(term.buckets)
    if term.normalized:
        idf_F = np.log(len(counts.starts) / (1 + frequency_F)) + 1
    return np.where(frequency_F > 0, idf_F, 0.0).astype(np.float32)


def _rows(counts: NgramCounts, rows: np.ndarray) -> NgramCounts:
    """The counts of some of the sequences."""
    lengths = np.diff(counts.starts)[rows]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    entry_E = np.repeat(counts.starts[rows] - starts[:-1], lengths) + np.arange(starts[-1])
    return NgramCounts(starts, counts.buckets[entry_E], counts.counts[entry_E])

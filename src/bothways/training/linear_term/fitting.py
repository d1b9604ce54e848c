"""Linear models of whole sequences: fitted by L-BFGS, and chosen by cross-validation.

n sequences; F features, of which U are not zero for all sequences; O outputs.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bothways.model.linear_terms import BIAS, IDF, WEIGHT, LinearTerm, NgramTerm, SeriesTerm
from bothways.reference.linear_terms import TermInputs, term_inputs, term_outputs
from bothways.reference.ngrams import NgramCounts, ngram_features
from bothways.training.data.examples import TargetForm
from bothways.training.engine.step import backward
from bothways.training.objectives.linear_term import FittedTerm

__all__ = [
    "MIN_ROWS",
    "OutputLoss",
    "Recipe",
    "choose_recipe",
    "fit_term",
    "loss_of",
    "to_tensor",
]

OutputLoss = Callable[[Tensor, Tensor], Tensor]
"""The loss of outputs (n, O), summed over n targets."""

_FOLDS = 3
MIN_ROWS = 2 * _FOLDS
"""Training rows that cross-validation needs."""
_SELECTION_POSITIONS = 2**17
"""Positions of the training rows that choose a recipe, at most."""
_ITERATIONS = 100

_MAX_WEIGHTS = 2**20
_WORDS = 1000
"""Ids from here on are taken for words: of few symbols, longer n-grams say more."""
_LENGTHS_OF_WORDS, _LENGTHS_OF_SYMBOLS = (1, 2), (1, 2, 4)
"""Ids of the longest n-gram."""

_STATISTICS: tuple[Literal["moments", "summary"], ...] = ("moments", "summary")
_MAX_FEATURES, _MAX_NUMBERS = 20_000, 2**24
"""Features of a series, and numbers in the features of all series, which bounds memory."""
_SMALLEST_STD = 1e-3
"""Of a feature of a series, relative to the standard deviation of its channel."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Features, and the strength of the L2 penalty on their weights."""

    term: LinearTerm
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


def to_tensor(target: np.ndarray, form: TargetForm) -> Tensor:
    """Targets as the loss takes them: classes as int64, others as float64."""
    targets = torch.from_numpy(np.ascontiguousarray(target))
    return targets.long() if form == "class" else targets.double()


def choose_recipe(
    sequences: Sequence[np.ndarray],
    target: np.ndarray,
    form: TargetForm,
    num_outputs: int,
    *,
    seed: int,
) -> Recipe:
    """Choose features and penalty by cross-validation.

    sequences: ids (L,) or vectors (L, C). target: classes, int64 (n,); labels, 0 or 1 (n, O); or
    standardized values (n, O).
    """
    order = np.random.default_rng(seed).permutation(len(sequences))
    positions = np.cumsum([len(sequences[row]) for row in order.tolist()])
    chosen = order[: max(np.searchsorted(positions, _SELECTION_POSITIONS), MIN_ROWS)]
    inputs_of: dict[LinearTerm, TermInputs] = {}
    best, lowest = None, np.inf
    for recipe in _recipes(sequences, form, num_outputs):
        term = recipe.term
        if term not in inputs_of:
            inputs_of[term] = term_inputs([sequences[row] for row in chosen.tolist()], term)
        loss = _loss_outside(inputs_of[term], target[chosen], form, num_outputs, recipe)
        loss = np.inf if np.isnan(loss) else loss
        if best is None or loss < lowest:
            best, lowest = recipe, loss
    if best is None:
        raise ValueError("no recipe for these sequences")
    return best


def fit_term(
    sequences: Sequence[np.ndarray],
    target: np.ndarray,
    form: TargetForm,
    num_outputs: int,
    recipe: Recipe,
) -> FittedTerm:
    """Fit the linear model of a recipe, with `layers_scale` 0; arguments as in `choose_recipe`."""
    return _fit(term_inputs(sequences, recipe.term), target, form, num_outputs, recipe)


def _recipes(
    sequences: Sequence[np.ndarray], form: TargetForm, num_outputs: int
) -> Iterator[Recipe]:
    """The candidates: the linear ones of `simple_models.candidates`, and their penalties."""
    lengths = {len(each) for each in sequences}
    same_length = lengths.pop() if len(lengths) == 1 else None
    if sequences[0].ndim == 1:
        yield from _recipes_of_ids(sequences, form, num_outputs, aligned=same_length is not None)
        return
    width = sequences[0].shape[1]
    terms = [SeriesTerm(features=name, length=0, layers_scale=0.0) for name in _STATISTICS]
    if same_length:
        terms.append(SeriesTerm(features="positions", length=same_length, layers_scale=0.0))
    most = min(_MAX_FEATURES, _MAX_NUMBERS // len(sequences), _MAX_WEIGHTS // num_outputs)
    for number, term in enumerate(terms):
        if number == 0 or term.num_features(width) <= most:
            yield from (Recipe(term, strength) for strength in (1.0, 10.0, 100.0))


def _recipes_of_ids(
    sequences: Sequence[np.ndarray], form: TargetForm, num_outputs: int, *, aligned: bool
) -> Iterator[Recipe]:
    buckets = 2**15
    while buckets * num_outputs > _MAX_WEIGHTS and buckets > 2**8:
        buckets //= 2
    is_value = form == "values"
    are_words = max(int(ids.max(initial=0)) for ids in sequences) >= _WORDS
    counts = NgramTerm(
        features="counts", longest=1, buckets=buckets, normalized=not is_value, layers_scale=0.0
    )
    for longest in _LENGTHS_OF_WORDS if are_words else _LENGTHS_OF_SYMBOLS:
        for strength in (1.0, 30.0) if is_value else (0.1, 1.0):
            yield Recipe(dataclasses.replace(counts, longest=longest), strength)
    if aligned:
        places = dataclasses.replace(counts, features="positions", normalized=False)
        yield from (Recipe(places, strength) for strength in (0.5, 5.0))


def _loss_outside(
    inputs: TermInputs, target: np.ndarray, form: TargetForm, num_outputs: int, recipe: Recipe
) -> float:
    """The loss of each fold by a model of the other folds, summed."""
    fold_n = np.arange(len(target)) % _FOLDS
    total = 0.0
    for fold in range(_FOLDS):
        inside, outside = np.flatnonzero(fold_n != fold), np.flatnonzero(fold_n == fold)
        fitted = _fit(_rows(inputs, inside), target[inside], form, num_outputs, recipe)
        output = term_outputs(_rows(inputs, outside), fitted.arrays, recipe.term)
        total += float(loss_of(form)(torch.from_numpy(output), to_tensor(target[outside], form)))
    return total


def _fit(
    inputs: TermInputs, target: np.ndarray, form: TargetForm, num_outputs: int, recipe: Recipe
) -> FittedTerm:
    """Fit a linear model with a penalty of strength / 2 ‖W‖²."""
    problem = _Problem(target, form, num_outputs, recipe.strength)
    if isinstance(inputs, NgramCounts) and isinstance(recipe.term, NgramTerm):
        return _fit_ngrams(inputs, recipe.term, problem)
    if isinstance(inputs, np.ndarray):
        return _fit_features(inputs, recipe.term, problem)
    raise TypeError("counts of n-grams are for an n-gram term")


def _fit_ngrams(counts: NgramCounts, term: NgramTerm, problem: "_Problem") -> FittedTerm:
    idf_F = _idf(counts, term)
    used_U = np.flatnonzero(idf_F)
    column_E = torch.from_numpy(np.searchsorted(used_U, counts.buckets))
    value_E = torch.from_numpy(ngram_features(counts, idf_F, term))
    first_n = torch.from_numpy(counts.starts[:-1])

    def multiply(weight_UO: Tensor) -> Tensor:
        return functional.embedding_bag(
            column_E, weight_UO, first_n, mode="sum", per_sample_weights=value_E
        )

    weight_UO, bias_O = problem.solve(multiply, len(used_U))
    weight_OF = np.zeros((len(bias_O), term.buckets))
    weight_OF[:, used_U] = weight_UO.T
    arrays = {WEIGHT: weight_OF, BIAS: bias_O, IDF: idf_F}
    return FittedTerm(term, {name: array.astype(np.float32) for name, array in arrays.items()})


def _fit_features(features_nF: np.ndarray, term: LinearTerm, problem: "_Problem") -> FittedTerm:
    """Fit to standardized features; mean and deviation become part of the weights."""
    mean_F, std_F = features_nF.mean(axis=0), features_nF.std(axis=0)
    std_F = np.where(std_F > _SMALLEST_STD, std_F, np.inf)  # a constant feature has no weight
    standardized = torch.from_numpy((features_nF - mean_F) / std_F)
    weight_FO, bias_O = problem.solve(lambda weight: standardized @ weight, len(mean_F))
    weight_OF = weight_FO.T / std_F
    arrays = {WEIGHT: weight_OF, BIAS: bias_O - weight_OF @ mean_F}
    return FittedTerm(term, {name: array.astype(np.float32) for name, array in arrays.items()})


@dataclasses.dataclass(frozen=True, eq=False)
class _Problem:
    """Targets that a linear model is to predict, with a penalty on its weights."""

    target: np.ndarray
    form: TargetForm
    num_outputs: int
    strength: float

    def solve(
        self, multiply: Callable[[Tensor], Tensor], num_features: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The weights (U, O) and biases (O,) of the lowest loss with penalty, float64.

        multiply: the product of the features of all rows with weights, (n, O).
        """
        loss, targets = loss_of(self.form), to_tensor(self.target, self.form)
        weight_UO = torch.zeros(
            num_features, self.num_outputs, dtype=torch.float64, requires_grad=True
        )
        bias_O = torch.zeros(self.num_outputs, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [weight_UO, bias_O], max_iter=_ITERATIONS, line_search_fn="strong_wolfe",
            tolerance_grad=1e-3, tolerance_change=1e-5,
        )  # fmt: skip

        def evaluate() -> Tensor:
            optimizer.zero_grad()
            total = loss(multiply(weight_UO) + bias_O, targets)
            total = total + self.strength / 2 * (weight_UO**2).sum()
            backward(total)
            return total

        optimizer.step(evaluate)  # type: ignore[no-untyped-call]
        return weight_UO.detach().numpy(), bias_O.detach().numpy()


def _idf(counts: NgramCounts, term: NgramTerm) -> np.ndarray:
    """log((1 + n) / (1 + sequences with the bucket)) + 1, and 0 for buckets without any, float32.

    Spärck Jones 1972, "A statistical interpretation of term specificity and its application in
    retrieval", smoothed as in scikit-learn's `TfidfTransformer`; 1 where features keep their scale.
    """
    frequency_F = np.bincount(counts.buckets, minlength=term.buckets)
    idf_F = np.ones(term.buckets)
    if term.normalized:
        idf_F = np.log(len(counts.starts) / (1 + frequency_F)) + 1
    return np.where(frequency_F > 0, idf_F, 0.0).astype(np.float32)


def _rows(inputs: TermInputs, rows: np.ndarray) -> TermInputs:
    """The counts or features of some of the sequences."""
    if isinstance(inputs, np.ndarray):
        return np.asarray(inputs[rows])
    lengths = np.diff(inputs.starts)[rows]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    entry_E = np.repeat(inputs.starts[rows] - starts[:-1], lengths) + np.arange(starts[-1])
    return NgramCounts(starts, inputs.buckets[entry_E], inputs.counts[entry_E])

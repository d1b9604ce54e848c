"""The linear term of an objective's head, in the units of training.

B examples; O outputs.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from torch import Tensor

from bothways.model.linear_terms import BIAS, WEIGHT, LinearTerm
from bothways.model.weights import Weights
from bothways.reference.linear_terms import term_inputs, term_outputs
from bothways.training.data.dataset import Example
from bothways.training.data.windows import content_values
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.arrays import at_least_float32

__all__ = ["FittedTerm", "head_outputs", "with_term", "with_term_weights"]

_TARGET = "linear_term"
"""The name of the term among the targets of a batch."""


@dataclasses.dataclass(frozen=True, eq=False)
class FittedTerm:
    """A linear term with its weights, by name."""

    term: LinearTerm
    arrays: Weights

    def outputs(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """The term alone, W φ + b, for sequences without special tokens, float64 (n, O)."""
        return term_outputs(term_inputs(sequences, self.term), self.arrays, self.term)

    @property
    def is_finite(self) -> bool:
        """Whether no weight is NaN or infinite."""
        return all(np.isfinite(array).all() for array in self.arrays.values())

    def scaled(self, *, term: float, layers: float) -> Self:
        """The term at a fraction of its size, beside layers at another."""
        factor = np.float32(term)
        arrays = {
            **self.arrays,
            WEIGHT: factor * self.arrays[WEIGHT],
            BIAS: factor * self.arrays[BIAS],
        }
        return type(self)(dataclasses.replace(self.term, layers_scale=layers), arrays)

    def in_units(self, mean_O: np.ndarray, scale_O: np.ndarray) -> Self:
        """The term for outputs x scale + mean, where this one is for outputs x."""
        weight, bias = self._wide_weights()
        offset_O = (1 - self.term.layers_scale) * mean_O
        return self._replaced(weight * scale_O[:, None], bias * scale_O + offset_O)

    def out_of_units(self, mean_O: np.ndarray, scale_O: np.ndarray) -> Self:
        """The inverse of `in_units`."""
        weight, bias = self._wide_weights()
        offset_O = (1 - self.term.layers_scale) * mean_O
        return self._replaced(weight / scale_O[:, None], (bias - offset_O) / scale_O)

    def _wide_weights(self) -> tuple[np.ndarray, np.ndarray]:
        return self.arrays[WEIGHT].astype(np.float64), self.arrays[BIAS].astype(np.float64)

    def _replaced(self, weight: np.ndarray, bias: np.ndarray) -> Self:
        changed = {WEIGHT: weight.astype(np.float32), BIAS: bias.astype(np.float32)}
        return type(self)(self.term, {**self.arrays, **changed})


def with_term(
    targets: Mapping[str, np.ndarray], fitted: FittedTerm | None, examples: Sequence[Example]
) -> Mapping[str, np.ndarray]:
    """The targets of a batch, with the outputs of the term among them, float32 (B, O)."""
    if fitted is None:
        return targets
    outputs = fitted.outputs([content_values(example) for example in examples])
    return {**targets, _TARGET: outputs.astype(np.float32)}


def with_term_weights(weights: Weights, fitted: FittedTerm | None) -> dict[str, np.ndarray]:
    """The weights of a model folder, with those of the term."""
    return {**weights, **({} if fitted is None else fitted.arrays)}


def head_outputs(model: TrainedModel, batch: Batch, fitted: FittedTerm | None) -> Tensor:
    """The outputs of the model's head with its linear term, in float32 or more, (B, O)."""
    outputs = at_least_float32(model(batch))
    if fitted is None:
        return outputs
    return fitted.term.layers_scale * outputs + batch.targets[_TARGET]

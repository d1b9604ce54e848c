"""The n-gram term of an objective's head, in the units of training.

B examples; O outputs.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from torch import Tensor

from bothways.model.heads import NgramTerm
from bothways.model.weights import Weights
from bothways.reference.ngrams import count_ngrams, ngram_outputs
from bothways.training.data.dataset import Example
from bothways.training.data.windows import content_values
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.arrays import at_least_float32

__all__ = ["TARGET", "FittedNgrams", "head_outputs", "with_ngram_targets"]

TARGET = "ngrams"
"""The name of the term among the targets of a batch."""


@dataclasses.dataclass(frozen=True, eq=False)
class FittedNgrams:
    """A term with its weights, by name."""

    term: NgramTerm
    arrays: Weights

    def outputs(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """The term alone, W φ + b, for sequences of ids, float64 (n, O)."""
        return ngram_outputs(count_ngrams(sequences, self.term), self.arrays, self.term)

    def in_units(self, mean_O: np.ndarray, scale_O: np.ndarray) -> Self:
        """The term for outputs x scale + mean, where this one is for outputs x."""
        weight, bias, idf = (self.arrays[name].astype(np.float64) for name in self.term.names)
        bias = bias * scale_O + (1 - self.term.layers_scale) * mean_O
        return self._replaced(weight * scale_O[:, None], bias, idf)

    def out_of_units(self, mean_O: np.ndarray, scale_O: np.ndarray) -> Self:
        """The inverse of `in_units`."""
        weight, bias, idf = (self.arrays[name].astype(np.float64) for name in self.term.names)
        bias = (bias - (1 - self.term.layers_scale) * mean_O) / scale_O
        return self._replaced(weight / scale_O[:, None], bias, idf)

    def _replaced(self, *arrays: np.ndarray) -> Self:
        converted = [array.astype(np.float32) for array in arrays]
        return type(self)(self.term, dict(zip(self.term.names, converted, strict=True)))


def with_ngram_targets(
    targets: Mapping[str, np.ndarray], ngrams: FittedNgrams | None, examples: Sequence[Example]
) -> Mapping[str, np.ndarray]:
    """The targets of a batch, with the term of each example as `ngrams`, float32 (B, O)."""
    if ngrams is None:
        return targets
    outputs = ngrams.outputs([content_values(example) for example in examples])
    return {**targets, TARGET: outputs.astype(np.float32)}


def head_outputs(model: TrainedModel, batch: Batch, ngrams: FittedNgrams | None) -> Tensor:
    """The outputs of the model's head with the n-gram term, in float32 or more, (B, O)."""
    outputs = at_least_float32(model(batch))
    if ngrams is None:
        return outputs
    return ngrams.term.layers_scale * outputs + batch.targets[TARGET]

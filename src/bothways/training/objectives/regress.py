"""Regression: one number or several per sequence.

B sequences; V values.
"""

import dataclasses
from collections.abc import Sequence
from typing import Self

import numpy as np
from torch import Tensor
from torch.nn import functional

from bothways.errors import ConfigError
from bothways.model.heads import Head
from bothways.model.weights import Weights
from bothways.training.data.dataset import Example
from bothways.training.data.windows import merge_windows
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.arrays import (
    pack_windows,
    stack_targets,
    to_array,
)
from bothways.training.objectives.linear_term import FittedTerm, head_outputs, with_term
from bothways.training.objectives.metrics import (
    mean_absolute_error,
    r_squared,
    root_mean_squared_error,
)
from bothways.training.objectives.objective import Evaluation, Monitor, Objective, PreparedBatch

__all__ = ["Regress"]


@dataclasses.dataclass(eq=False, kw_only=True)
class Regress(Objective):
    """Regression on standardized targets: (value - mean) / scale.

    mean, scale: of each value in the training data, float64 (V,).
    huber: the standardized error above which the loss is linear, to limit the effect of outliers
        (Huber 1964, "Robust estimation of a location parameter"); None for squared error.
    linear_term: the linear term of the head, for standardized outputs; None for none.

    The trained folder's head predicts in the original units: its last layer includes mean and
    scale.

    Raises:
        ConfigError: naming the field, its value and what was expected.
    """

    head: Head
    mean: np.ndarray
    scale: np.ndarray
    huber: float | None = None
    linear_term: FittedTerm | None = None

    name = "regress"
    monitor = Monitor("loss", "lower")

    def __post_init__(self) -> None:
        last = self.head.layers[-1]
        if last.activation != "identity" or last.norm is not None or not last.bias or last.tied:
            raise ConfigError("the last layer of a head of values must be linear, with a bias")
        for name in ("mean", "scale"):
            if getattr(self, name).shape != (self.head.num_outputs,):
                raise ConfigError(f"{name}: expected {self.head.num_outputs} numbers")
        if self.huber is not None and not self.huber > 0:
            raise ConfigError(f"huber={self.huber}: expected more than 0, or None")

    @classmethod
    def on(cls, head: Head, target_BV: np.ndarray, *, huber: float | None = None) -> Self:
        """Create the objective with mean and scale of the training targets.

        A constant value has scale 1.
        """
        scale = target_BV.std(axis=0, dtype=np.float64)
        mean = target_BV.mean(axis=0, dtype=np.float64)
        return cls(head=head, mean=mean, scale=np.where(scale > 0, scale, 1.0), huber=huber)

    def prepare(self, examples: Sequence[Example], rng: np.random.Generator) -> PreparedBatch:
        """Targets: `values` (B, V), standardized."""
        value_BV = (stack_targets(examples) - self.mean) / self.scale
        return PreparedBatch(
            packed=pack_windows(examples),
            targets=with_term({"values": value_BV.astype(np.float32)}, self.linear_term, examples),
            weight=float(value_BV.size),
            places=[example.place for example in examples],
            merge=merge_windows(examples),
        )

    def loss(self, model: TrainedModel, batch: Batch) -> Tensor:
        """Squared error or Huber loss, summed over values."""
        predicted_BV = head_outputs(model, batch, self.linear_term)
        return self._loss_by_value(predicted_BV, batch.targets["values"]).sum()

    def evaluate(self, model: TrainedModel, batch: Batch) -> Evaluation:
        """`predictions` and `targets` in the original units, float64, and `loss`; each (B, V)."""
        predicted_BV = head_outputs(model, batch, self.linear_term)
        value_BV = batch.targets["values"]
        return {
            "predictions": to_array(predicted_BV) * self.scale + self.mean,
            "targets": to_array(value_BV) * self.scale + self.mean,
            "loss": to_array(self._loss_by_value(predicted_BV, value_BV)),
        }

    def metrics(self, evaluated: Evaluation) -> dict[str, float]:
        """Loss, mean absolute error, root mean squared error and R2.

        With several values, R2 is their mean, and errors are named by value: `mae of y`.
        """
        predicted, target = evaluated["predictions"], evaluated["targets"]
        metrics = {
            "loss": float(evaluated["loss"].mean(dtype=np.float64)),
            "r2": float(r_squared(predicted, target).mean()),
        }
        for name, error in (("mae", mean_absolute_error), ("rmse", root_mean_squared_error)):
            by_value = error(predicted, target).tolist()
            labels = self.head.labels if len(by_value) > 1 else ()
            names = [f"{name} of {label}" for label in labels] or [name]
            metrics |= dict(zip(names, by_value, strict=True))
        return metrics

    def to_folder(self, weights: Weights) -> dict[str, np.ndarray]:
        """Convert the last layer to the original units: scale W, scale b + mean.

        The weights of the linear term are added in these units.
        """
        weight, bias = (weights[name].astype(np.float64) for name in self._last)
        converted = self._with_last(
            weights, weight * self.scale[:, None], bias * self.scale + self.mean
        )
        if self.linear_term is not None:
            converted |= self.linear_term.in_units(self.mean, self.scale).arrays
        return converted

    def from_folder(self, weights: Weights) -> dict[str, np.ndarray]:
        """Convert the last layer, if it is among the weights, to standardized units."""
        if self._last[0] not in weights:
            return dict(weights)
        weight, bias = (weights[name].astype(np.float64) for name in self._last)
        return self._with_last(
            weights, weight / self.scale[:, None], (bias - self.mean) / self.scale
        )

    @property
    def _last(self) -> tuple[str, str]:
        name = self.head.layers[-1].name
        return f"{name}.weight", f"{name}.bias"

    def _with_last(
        self, weights: Weights, weight: np.ndarray, bias: np.ndarray
    ) -> dict[str, np.ndarray]:
        last = zip(self._last, (weight, bias), strict=True)
        return dict(weights) | {name: array.astype(np.float32) for name, array in last}

    def _loss_by_value(self, predicted_BV: Tensor, value_BV: Tensor) -> Tensor:
        if self.huber is None:
            return functional.mse_loss(predicted_BV, value_BV, reduction="none")
        return functional.huber_loss(predicted_BV, value_BV, reduction="none", delta=self.huber)

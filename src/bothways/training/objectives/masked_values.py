"""Masked values: predict masked positions of a series from the rest.

Zerveas et al. 2021, "A Transformer-based framework for multivariate time series representation
learning", section 3.3. T packed positions; N of them masked; C channels.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.nn import functional

from bothways.errors import ConfigError
from bothways.model.heads import Head
from bothways.training.data.dataset import Example
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.arrays import at_least_float32, pack, to_array
from bothways.training.objectives.masking import choose_positions, content_positions
from bothways.training.objectives.metrics import r_squared
from bothways.training.objectives.objective import Evaluation, Monitor, Objective, PreparedBatch

__all__ = ["MaskedValues"]


@dataclasses.dataclass(eq=False, kw_only=True)
class MaskedValues(Objective):
    """Predict masked positions of a standardized series; all channels of a position are masked.

    A masked position is 0, the mean of its channels.

    rate: the fraction of positions that are masked. span: number of adjacent positions masked
        together, because single ones are easy to interpolate (the paper, section 3.3: 3 on
        average).

    Raises:
        ConfigError: naming the field, its value and what was expected.
    """

    head: Head
    rate: float = 0.15
    span: int = 3

    name = "mlm"
    monitor = Monitor("loss", "lower")

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise ConfigError(f"rate={self.rate}: expected more than 0 and at most 1")
        if self.span < 1:
            raise ConfigError(f"span={self.span}: expected at least 1")

    def prepare(self, examples: Sequence[Example], rng: np.random.Generator) -> PreparedBatch:
        """Mask positions. Targets: `positions` (N,) in the packed batch and `values` (N, C)."""
        sequences = [example.sequences[0] for example in examples]
        packed = pack(sequences)
        position_E, sequence_E = content_positions(sequences)
        # A random offset per sequence, so that a span border can fall between any two positions.
        offset_E = rng.integers(self.span, size=len(sequences))[sequence_E]
        begins_E = (position_E + offset_E) % self.span == 0
        position_N = position_E[choose_positions(sequence_E, begins_E, self.rate, rng)]
        values_TC = packed.values.copy()
        values_TC[position_N] = 0
        return PreparedBatch(
            packed=dataclasses.replace(packed, values=values_TC),
            targets={"positions": position_N, "values": packed.values[position_N]},
            weight=float(packed.values[position_N].size),
            places=[example.place for example in examples],
        )

    def loss(self, model: TrainedModel, batch: Batch) -> Tensor:
        """Squared error, summed over the masked values."""
        value_NC = at_least_float32(model(batch, batch.targets["positions"]))
        return functional.mse_loss(value_NC, batch.targets["values"], reduction="sum")

    def evaluate(self, model: TrainedModel, batch: Batch) -> Evaluation:
        """`predictions` and `targets` of the masked positions, both (N, C)."""
        value_NC = at_least_float32(model(batch, batch.targets["positions"]))
        return {
            "predictions": to_array(value_NC),
            "targets": to_array(batch.targets["values"]),
        }

    def metrics(self, evaluated: Evaluation) -> dict[str, float]:
        """Loss per value, in standardized units, and R2 averaged over channels."""
        predicted, target = evaluated["predictions"], evaluated["targets"]
        return {
            "loss": float(np.mean((predicted - target) ** 2, dtype=np.float64)),
            "r2": float(r_squared(predicted, target).mean()),
        }

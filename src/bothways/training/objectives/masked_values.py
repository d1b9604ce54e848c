"""Masked values: parts of a series are hidden, and told from the rest.

Zerveas et al. 2021, "A Transformer-based framework for multivariate time series representation
learning", section 3.3. T packed positions; N of them hidden; C channels.
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
    """Tell the hidden parts of a standardized series; all channels of a position are hidden.

    A hidden position is 0, the mean of its channels.

    rate: the share of positions hidden. span: how many neighbors are hidden together, as single
        ones are told from their neighbors without effort (the paper, section 3.3: 3 on average).

    Raises:
        ConfigError: naming the field, its value, and what it may be.
    """

    head: Head
    rate: float = 0.15
    span: int = 3

    name = "mlm"
    monitor = Monitor("loss", "lower")

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise ConfigError(f"rate={self.rate}: expected above 0, at most 1")
        if self.span < 1:
            raise ConfigError(f"span={self.span}: expected at least 1")

    def prepare(self, examples: Sequence[Example], rng: np.random.Generator) -> PreparedBatch:
        """Hide positions. Targets: `positions` (N,) of the packed batch, `values` (N, C)."""
        pieces = [example.pieces[0] for example in examples]
        packed = pack(pieces)
        position_E, sequence_E = content_positions(pieces)
        # Spans begin at another place in each sequence, so that every pair may be parted.
        offset_E = rng.integers(self.span, size=len(pieces))[sequence_E]
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
        """Squared error, summed over the hidden numbers."""
        value_NC = at_least_float32(model(batch, batch.targets["positions"]))
        return functional.mse_loss(value_NC, batch.targets["values"], reduction="sum")

    def evaluate(self, model: TrainedModel, batch: Batch) -> Evaluation:
        """`predictions` and `targets` of the hidden positions, (N, C) both."""
        value_NC = at_least_float32(model(batch, batch.targets["positions"]))
        return {
            "predictions": to_array(value_NC),
            "targets": to_array(batch.targets["values"]),
        }

    def metrics(self, evaluated: Evaluation) -> dict[str, float]:
        """Loss by number, in standardized units, and R2, the channels' mean."""
        predicted, target = evaluated["predictions"], evaluated["targets"]
        return {
            "loss": float(np.mean((predicted - target) ** 2, dtype=np.float64)),
            "r2": float(r_squared(predicted, target).mean()),
        }

"""The interface of objectives: preparation of batches, losses and metrics.

The loop knows objectives only through it. A loss is a sum over targets, never a mean, and a batch
states the weight of its targets. So each target of a step counts the same, however the step is
split into batches and over processes.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from bothways.model.heads import Head
from bothways.model.packing import PackedBatch
from bothways.model.weights import Weights
from bothways.training.data.dataset import Example
from bothways.training.data.windows import WindowMerge
from bothways.training.model import Batch, TrainedModel

__all__ = ["Evaluation", "JointObjective", "Monitor", "Objective", "PreparedBatch"]

Evaluation = Mapping[str, np.ndarray]
"""Arrays with a row for each target, by name; the arrays of batches are concatenated."""


class Monitor(NamedTuple):
    """The metric that selects the best weights, and whether higher or lower is better."""

    metric: str
    better: Literal["higher", "lower"]


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedBatch:
    """Examples as a packed batch with their targets.

    targets: arrays by name, for the objective's `loss`.
    weight: the number of targets, or the sum of their weights; a step divides by its total.
    places: the place of each example, for messages.
    merge: how the windows of long sequences are merged; None if all sequences are whole.
    """

    packed: PackedBatch
    targets: Mapping[str, np.ndarray]
    weight: float
    places: Sequence[str]
    merge: WindowMerge | None = None


class Objective(Protocol):
    """What a model learns; each objective is a module of this package."""

    name: str
    """Its name on the command line: mlm, classify, tag, regress or contrast."""
    head: Head | None
    """The head of the trained folder; None if the result is an encoder without a head."""
    monitor: Monitor

    def prepare(self, examples: Sequence[Example], rng: np.random.Generator) -> PreparedBatch:
        """Prepare examples as a batch; `rng` makes all random choices, such as masking."""
        ...

    def loss(self, model: TrainedModel, batch: Batch) -> Tensor:
        """The loss summed over the batch's targets, a scalar to call `backward` on."""
        ...

    def evaluate(self, model: TrainedModel, batch: Batch) -> Evaluation:
        """Arrays that `metrics` and the report need, with a row for each target of a batch."""
        ...

    def metrics(self, evaluated: Evaluation) -> dict[str, float]:
        """Metrics by name from the arrays of a whole dataset; they include `loss`, a mean."""
        ...

    def to_folder(self, weights: Weights) -> dict[str, np.ndarray]:
        """Convert weights from the units of training to those of a model folder.

        weights: as `TrainedModel.to_weights` returns them; checkpoints store these unchanged.
        """
        return dict(weights)

    def from_folder(self, weights: Weights) -> dict[str, np.ndarray]:
        """The inverse of `to_folder`, to fine-tune a head with the same outputs."""
        return dict(weights)


@runtime_checkable
class JointObjective(Objective, Protocol):
    """An objective whose loss compares all sequences of a step with each other.

    The loop computes the vectors of a step batch by batch without keeping activations, then the
    loss and its gradient with respect to the vectors, then each batch's gradient in a second pass
    (Gao et al. 2021, "Scaling deep contrastive learning batch size under memory limited setup",
    section 3).
    """

    def vectors(self, model: TrainedModel, batch: Batch) -> Tensor:
        """The vectors to compare, a row for each sequence of each example, (sequences, columns).

        `joint_loss` gets the rows of all batches of all processes, unchanged.
        """
        ...

    def joint_loss(self, vectors: Tensor, sequences_per_example: Sequence[int]) -> Tensor:
        """The loss summed over the examples of all processes.

        sequences_per_example: the number of vectors of each example, in order.
        """
        ...

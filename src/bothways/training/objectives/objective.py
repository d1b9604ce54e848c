"""What every objective answers: what is learned from examples, and how well it has been.

The loop knows nothing else of objectives. A loss is a sum over targets, never a mean, and a batch
says how many targets it has: so steps of several batches, on several processes, weigh each target
alike, however the batches were cut.
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
from bothways.training.model import Batch, TrainedModel

__all__ = ["Evaluation", "JointObjective", "Monitor", "Objective", "PreparedBatch"]

Evaluation = Mapping[str, np.ndarray]
"""What validation keeps of each target, by name; the arrays of batches are laid end to end."""


class Monitor(NamedTuple):
    """The figure that says which weights are best, and which way it is better."""

    metric: str
    better: Literal["higher", "lower"]


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedBatch:
    """Examples as a packed batch, with what is to be learned from it.

    targets: arrays by name, as the objective's own `loss` wants them.
    weight: how many targets there are, or the sum of their weights; a step divides by its total.
    places: where each example stands, for messages.
    """

    packed: PackedBatch
    targets: Mapping[str, np.ndarray]
    weight: float
    places: Sequence[str]


class Objective(Protocol):
    """What is learned. One small file each beside this one."""

    name: str
    """As the command line calls it: mlm, classify, tag, regress, contrast."""
    head: Head | None
    """The head that the trained folder keeps; None where training leaves an encoder alone."""
    monitor: Monitor

    def prepare(self, examples: Sequence[Example], rng: np.random.Generator) -> PreparedBatch:
        """Examples as a batch; all that chance decides (what is masked) is decided here, by rng."""
        ...

    def loss(self, model: TrainedModel, batch: Batch) -> Tensor:
        """The loss summed over the batch's targets, a scalar to call `backward` on."""
        ...

    def evaluate(self, model: TrainedModel, batch: Batch) -> Evaluation:
        """What `metrics` and the report need of each target of a batch; small arrays."""
        ...

    def metrics(self, evaluated: Evaluation) -> dict[str, float]:
        """Figures by name from what a whole validation evaluated, `loss` (a mean) among them."""
        ...

    def to_folder(self, weights: Weights) -> dict[str, np.ndarray]:
        """What a model folder keeps of the model's weights: its users' units, where training has
        others. `TrainedModel.to_weights` gives what goes in; checkpoints keep that as it is.
        """
        return dict(weights)

    def from_folder(self, weights: Weights) -> dict[str, np.ndarray]:
        """The inverse of `to_folder`, for training that goes on from a head of the same meaning."""
        return dict(weights)


@runtime_checkable
class JointObjective(Objective, Protocol):
    """An objective whose loss compares all sequences of a step with each other.

    The loop computes the vectors of a step batch by batch without keeping activations, the loss and
    its gradient by vector once, and each batch's share of the gradient in a second pass (Gao et al.
    2021, "Scaling deep contrastive learning batch size under memory limited setup", section 3).
    """

    def vectors(self, model: TrainedModel, batch: Batch) -> Tensor:
        """What is compared, a row for each piece of each example in turn, (pieces, columns).

        Rows go to `joint_loss` as they are, gathered from all batches of all processes.
        """
        ...

    def joint_loss(self, vectors: Tensor, pieces: Sequence[int]) -> Tensor:
        """The loss summed over examples; `pieces` says how many vectors each example has, in order.

        Over the examples of all processes together.
        """
        ...

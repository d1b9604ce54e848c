"""The gradient of a step, accumulated over microbatches on one process or several.

V vectors that a joint loss compares; D their width.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from bothways.training.distributed.processes import Workers
from bothways.training.distributed.sharding import set_gradient_sync, to_full_tensor
from bothways.training.engine.microbatches import MicroBatch, to_device
from bothways.training.engine.rng import torch_seed
from bothways.training.model import TrainedModel
from bothways.training.objectives.objective import JointObjective, Objective
from bothways.training.resolved_settings import ResolvedSettings

__all__ = [
    "GradientAccumulator",
    "StepLoss",
    "autocast",
    "backward",
    "clip_gradients",
    "gradients",
    "zero_gradients",
]


@dataclasses.dataclass(frozen=True)
class StepLoss:
    """The loss of a step, over all processes.

    loss: the mean over the step's targets. tokens: the number of tokens of the step.
    """

    loss: float
    tokens: int


@dataclasses.dataclass(frozen=True, eq=False)
class GradientAccumulator:
    """Forward and backward passes of a step: leaves the gradient of its mean loss in the model.

    The loss is summed over all targets of all microbatches on all processes and divided once, by
    their total weight. So each target counts the same, however the step was split.
    """

    model: TrainedModel
    objective: Objective
    workers: Workers
    settings: ResolvedSettings

    def accumulate(self, step: int, microbatches: Sequence[MicroBatch]) -> StepLoss:
        """Compute the gradient of a step; `microbatches` are this process's share of it."""
        zero_gradients(self.model)
        if isinstance(self.objective, JointObjective):
            loss = self._joint_backward(self.objective, step, microbatches)
        else:
            loss = self._backward(step, microbatches)
        contributing = [batch for batch in microbatches if batch.contributes]
        loss, weight, tokens = self.workers.sum(
            [
                loss,
                sum(batch.prepared.weight for batch in contributing),
                sum(batch.num_tokens for batch in contributing),
            ]
        )
        if self.settings.sharding == "replicated":
            self.workers.sum_gradients(gradients(self.model))
        if weight:  # a step may contain no target; its gradient is then 0
            torch._foreach_div_(gradients(self.model), weight)
            loss /= weight
        return StepLoss(loss, int(tokens))

    def _backward(self, step: int, microbatches: Sequence[MicroBatch]) -> float:
        """Add up the gradients of this process's microbatches; return the sum of their losses."""
        total = torch.zeros((), dtype=torch.float64, device=self.workers.device)
        for batch in microbatches:
            set_gradient_sync(self.model, enabled=batch is microbatches[-1])
            loss = self.loss(step, batch)
            backward(loss if batch.contributes else 0 * loss)
            if batch.contributes:
                total += loss.detach()
        return float(total)

    def _joint_backward(
        self, objective: JointObjective, step: int, microbatches: Sequence[MicroBatch]
    ) -> float:
        """`_backward` for a loss that compares all examples of a step, by gradient caching.

        First compute all vectors without keeping activations, then the loss and its gradient with
        respect to the vectors, then each microbatch again with its rows of that gradient (Gao et
        al. 2021, section 3). Each process computes the loss of all vectors, and propagates the
        gradient of its own.
        """
        if self.workers.size == 1 and len(microbatches) == 1:  # one pass: all activations fit
            (batch,) = microbatches
            vectors = self.vectors(objective, step, batch)
            loss = objective.joint_loss(vectors, batch.sequences_per_example)
            backward(loss)
            return float(loss.detach())
        with torch.no_grad():
            local = [self.vectors(objective, step, batch) for batch in microbatches]
        joint = self._gather(microbatches, torch.cat(local))
        joint.vectors.requires_grad_()
        loss = objective.joint_loss(joint.vectors, joint.sequences_per_example)
        (gradient_VD,) = torch.autograd.grad(loss, joint.vectors)
        for batch, vectors in zip(microbatches, local, strict=True):
            set_gradient_sync(self.model, enabled=batch is microbatches[-1])
            gradient = (
                gradient_VD[joint.rows[batch.index]]
                if batch.contributes
                else torch.zeros_like(vectors)
            )
            backward(self.vectors(objective, step, batch), gradient)
        return float(loss.detach()) if self.workers.is_main else 0.0

    def _gather(self, microbatches: Sequence[MicroBatch], vectors: Tensor) -> "_JointVectors":
        """Gather the vectors of all processes, in the order of the step's batches."""
        layouts = self.workers.all_gather_object(
            [
                (batch.index, batch.sequences_per_example, batch.contributes)
                for batch in microbatches
            ]
        )
        by_index: dict[int, tuple[Tensor, tuple[int, ...]]] = {}
        for rows, layout in zip(self.workers.gather_rows(vectors), layouts, strict=True):
            blocks = torch.split(rows, [sum(counts) for _, counts, _ in layout])
            for block, (index, counts, contributes) in zip(blocks, layout, strict=True):
                if contributes:
                    by_index[index] = (block, counts)
        rows_of_batch, start = {}, 0
        for index in sorted(by_index):
            rows_of_batch[index] = slice(start, start + len(by_index[index][0]))
            start = rows_of_batch[index].stop
        ordered = [by_index[index] for index in sorted(by_index)]
        return _JointVectors(
            torch.cat([block for block, _ in ordered]),
            [count for _, counts in ordered for count in counts],
            rows_of_batch,
        )

    def loss(self, step: int, batch: MicroBatch) -> Tensor:
        """The loss of one microbatch, summed over its targets."""
        with self._forward_pass(step, batch):
            return self.objective.loss(self.model, to_device(batch.prepared, self.workers.device))

    def vectors(self, objective: JointObjective, step: int, batch: MicroBatch) -> Tensor:
        """The vectors of one microbatch that a joint loss compares, float32 (V, D)."""
        with self._forward_pass(step, batch):
            moved = to_device(batch.prepared, self.workers.device)
            return objective.vectors(self.model, moved).float()

    @contextlib.contextmanager
    def _forward_pass(self, step: int, batch: MicroBatch) -> Iterator[None]:
        """Seed dropout for a microbatch, so that it is the same on every process and pass."""
        torch.manual_seed(torch_seed(self.settings.seed, step, batch.index))
        with autocast(self.workers.device, self.settings):
            yield


@dataclasses.dataclass(frozen=True, eq=False)
class _JointVectors:
    """The vectors of a step over all processes.

    vectors: (V, D). sequences_per_example: the number of vectors of each example. rows: the rows of
    each microbatch, by its index.
    """

    vectors: Tensor
    sequences_per_example: list[int]
    rows: dict[int, slice]


def backward(result: Tensor, gradient: Tensor | None = None) -> None:
    """Backpropagate into the parameters, unless `result` depends on none of them."""
    if result.requires_grad:
        result.backward(gradient)  # type: ignore[no-untyped-call]


def gradients(model: nn.Module) -> list[Tensor]:
    """The gradients of the trainable parameters, in the parameters' order."""
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def zero_gradients(model: nn.Module) -> None:
    """Set every gradient to 0.

    Not to None: every process needs a gradient for each parameter, whether or not its batches use
    it, because sums over processes pair them up in order.
    """
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.zero_()
        elif parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter, requires_grad=False)


def clip_gradients(model: nn.Module, max_norm: float) -> float:
    """Scale all gradients down to a joint norm of at most `max_norm`; return the norm before.

    max_norm: 0 for no limit. Pascanu et al. 2013, algorithm 1.
    """
    tensors = gradients(model)
    norm = float(to_full_tensor(torch.nn.utils.get_total_norm(tensors)))
    if max_norm and math.isfinite(norm) and norm > max_norm:
        torch._foreach_mul_(tensors, max_norm / norm)
    return norm


def autocast(
    device: torch.device, settings: ResolvedSettings
) -> contextlib.AbstractContextManager[object]:
    """A context that computes matrix products in bf16 if the settings say so."""
    if settings.precision != "bf16":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)

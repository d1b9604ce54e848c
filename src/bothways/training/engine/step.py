"""The gradient of a step, from the batches that it is cut into, on one process or several.

V vectors that a joint loss compares, D their width.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from bothways.training.distributed.processes import Workers
from bothways.training.distributed.sharding import postpone_reduction, to_full_tensor
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
    """What a step came to, over all processes.

    loss: the mean over its targets. tokens: of all its sequences.
    """

    loss: float
    tokens: int


@dataclasses.dataclass(frozen=True, eq=False)
class GradientAccumulator:
    """Forward and backward through a step: leaves the gradient of its mean loss in the parameters.

    The loss is summed over all targets of all parts on all processes, and divided once, by what
    they weigh together: each target counts alike, wherever batches and processes have borders.
    """

    model: TrainedModel
    objective: Objective
    workers: Workers
    settings: ResolvedSettings

    def run(self, step: int, parts: Sequence[MicroBatch]) -> StepLoss:
        """Compute the gradient of a step from this process' parts of it."""
        zero_gradients(self.model)
        if isinstance(self.objective, JointObjective):
            loss = self._joint_backward(self.objective, step, parts)
        else:
            loss = self._backward(step, parts)
        counted = [part.prepared for part in parts if part.counts]
        loss, weight, tokens = self.workers.sum(
            [
                loss,
                sum(prepared.weight for prepared in counted),
                sum(prepared.packed.num_tokens for prepared in counted),
            ]
        )
        if self.settings.sharding == "replicated":
            self.workers.sum_gradients(gradients(self.model))
        if weight:  # a step may happen to have no target: its gradient is 0
            torch._foreach_div_(gradients(self.model), weight)
            loss /= weight
        return StepLoss(loss, int(tokens))

    def _backward(self, step: int, parts: Sequence[MicroBatch]) -> float:
        """Add up the gradients of this process' parts; returns their loss, summed."""
        total = torch.zeros((), dtype=torch.float64, device=self.workers.device)
        for part in parts:
            postpone_reduction(self.model, postponed=part is not parts[-1])
            loss = self.loss(step, part)
            backward(loss if part.counts else 0 * loss)
            if part.counts:
                total += loss.detach()
        return float(total)

    def _joint_backward(
        self, objective: JointObjective, step: int, parts: Sequence[MicroBatch]
    ) -> float:
        """As `_backward`, for a loss that compares all examples of a step: gradient caching.

        First every vector, without its activations; then the loss and its gradient by vector; then
        each part again, with its own vectors' rows of that gradient (Gao et al. 2021, section 3).
        Each process computes the loss of all vectors and passes on the gradient of its own.
        """
        if self.workers.size == 1 and len(parts) == 1:  # all activations fit: once is enough
            loss = objective.joint_loss(self.vectors(objective, step, parts[0]), parts[0].pieces)
            backward(loss)
            return float(loss.detach())
        with torch.no_grad():
            vectors = [self.vectors(objective, step, part) for part in parts]
        joint = self._gather(parts, torch.cat(vectors))
        joint.vectors.requires_grad_()
        loss = objective.joint_loss(joint.vectors, joint.pieces)
        (gradient_VD,) = torch.autograd.grad(loss, joint.vectors)
        for part, found in zip(parts, vectors, strict=True):
            postpone_reduction(self.model, postponed=part is not parts[-1])
            rows = gradient_VD[joint.rows[part.number]] if part.counts else torch.zeros_like(found)
            backward(self.vectors(objective, step, part), rows)
        return float(loss.detach()) if self.workers.is_main else 0.0

    def _gather(self, parts: Sequence[MicroBatch], vectors: Tensor) -> "_Joint":
        """The vectors of all processes, in the order of the step's parts."""
        whose = self.workers.all_gather_object(
            [(part.number, part.pieces, part.counts) for part in parts]
        )
        found: dict[int, tuple[Tensor, tuple[int, ...]]] = {}
        for rows, theirs in zip(self.workers.gather_rows(vectors), whose, strict=True):
            sizes = [sum(pieces) for _, pieces, _ in theirs]
            blocks = torch.split(rows, sizes)
            for block, (number, pieces, counts) in zip(blocks, theirs, strict=True):
                if counts:
                    found[number] = (block, pieces)
        rows_of, start = {}, 0
        for number in sorted(found):
            rows_of[number] = slice(start, start + len(found[number][0]))
            start = rows_of[number].stop
        in_order = [found[number] for number in sorted(found)]
        return _Joint(
            torch.cat([block for block, _ in in_order]),
            [count for _, pieces in in_order for count in pieces],
            rows_of,
        )

    def loss(self, step: int, part: MicroBatch) -> Tensor:
        """The loss of one part, summed over its targets."""
        with self._computing(step, part):
            return self.objective.loss(self.model, to_device(part.prepared, self.workers.device))

    def vectors(self, objective: JointObjective, step: int, part: MicroBatch) -> Tensor:
        """The vectors of one part that a joint loss compares, (V, D), in float32."""
        with self._computing(step, part):
            batch = to_device(part.prepared, self.workers.device)
            return objective.vectors(self.model, batch).float()

    @contextlib.contextmanager
    def _computing(self, step: int, part: MicroBatch) -> Iterator[None]:
        """A forward pass of one part: its own dropout, whenever and wherever it is computed."""
        torch.manual_seed(torch_seed(self.settings.seed, step, part.number))
        with autocast(self.workers.device, self.settings):
            yield


@dataclasses.dataclass(frozen=True, eq=False)
class _Joint:
    """All vectors (V, D) of a step, how many each example has, and the rows of each part."""

    vectors: Tensor
    pieces: list[int]
    rows: dict[int, slice]


def backward(result: Tensor, gradient: Tensor | None = None) -> None:
    """Add to the parameters' gradients what `result` owes them; nothing if it owes none."""
    if result.requires_grad:
        result.backward(gradient)  # type: ignore[no-untyped-call]


def gradients(model: nn.Module) -> list[Tensor]:
    """The gradients of the trainable parameters, in their order."""
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def zero_gradients(model: nn.Module) -> None:
    """Set every gradient to 0.

    Not to None: then each process has one for each parameter, whether or not its share of the
    batches needs it, and sums over processes pair them up.
    """
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.zero_()
        elif parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter, requires_grad=False)


def clip_gradients(model: nn.Module, limit: float) -> float:
    """The norm of all gradients together; if it is above `limit`, which 0 does not set,
    they are scaled down to it.

    Pascanu et al. 2013, algorithm 1.
    """
    found = gradients(model)
    norm = float(to_full_tensor(torch.nn.utils.get_total_norm(found)))
    if limit and math.isfinite(norm) and norm > limit:
        torch._foreach_mul_(found, limit / norm)
    return norm


def autocast(
    device: torch.device, settings: ResolvedSettings
) -> contextlib.AbstractContextManager[object]:
    """bf16 for the products of matrices where the settings want it."""
    if settings.precision != "bf16":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)

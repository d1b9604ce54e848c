"""The processes of a run: one, or as many as torchrun started, each with a share of every step.

Every process knows the whole plan of a step and computes its share of the batches; sums over
processes then are what one process would have. torch's own DistributedDataParallel is not used: it
averages where losses here are sums, wants as many backward passes of every process, which batches
cut by tokens do not give, and arranges its buckets anew after the first step, so that a resumed run
would add up in another order.
"""

import contextlib
import gc
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from bothways.errors import BackendError, BothwaysError

__all__ = ["Workers", "join_workers", "process_rank"]

_T = TypeVar("_T")

_BUCKET_BYTES = 32 * 2**20
"""Of gradients summed over processes in one go: enough that a call's cost does not count."""

_TIMEOUT = timedelta(minutes=30)
"""How long a process waits for the others: one of them may be writing a large checkpoint."""


def process_rank() -> int:
    """Which of torchrun's processes this is; 0 for one alone. Rank 0 writes the files."""
    return int(os.environ.get("RANK", "0"))


class Workers:
    """All processes of a run, as one of them sees them.

    rank: which this is. size: how many there are. device: where this one computes.
    """

    def __init__(self, rank: int, size: int, device: torch.device) -> None:
        self.rank, self.size, self.device = rank, size, device

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files and tells of progress."""
        return self.rank == 0

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """Each number summed over all processes, in float64."""
        if self.size == 1:
            return list(numbers)
        total = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return [float(number) for number in total.tolist()]

    def sum_gradients(self, gradients: Sequence[Tensor]) -> None:
        """Replace each gradient by its sum over all processes.

        Gradients travel in buckets whose borders are always the same, so the sums are too.
        """
        if self.size == 1:
            return
        pending = []
        for bucket in _buckets(gradients):
            flat = torch.cat([gradient.flatten() for gradient in bucket])
            pending.append((bucket, flat, distributed.all_reduce(flat, async_op=True)))
        for bucket, flat, work in pending:
            work.wait()
            parts = torch.split(flat, [gradient.numel() for gradient in bucket])
            for gradient, part in zip(bucket, parts, strict=True):
                gradient.copy_(part.view_as(gradient))

    def gather_rows(self, rows: Tensor) -> list[Tensor]:
        """The rows (n, D) of each process, of which each may have another number, by rank."""
        if self.size == 1:
            return [rows]
        counts = [int(count) for count in self.all_gather_object(len(rows))]
        padded = rows.new_zeros(max(counts), rows.shape[1])
        padded[: len(rows)] = rows
        gathered = [torch.empty_like(padded) for _ in counts]
        distributed.all_gather(gathered, padded)
        return [part[:count] for part, count in zip(gathered, counts, strict=True)]

    def all_gather_object(self, value: Any) -> list[Any]:
        """The value of each process, by rank; anything that can be pickled."""
        if self.size == 1:
            return [value]
        values = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def gather_to_main(self, value: Any) -> list[Any]:
        """The value of each process, by rank, on the main process; an empty list on the others."""
        if self.size == 1:
            return [value]
        values = [None] * self.size if self.is_main else None
        distributed.gather_object(value, values)
        return values or []

    def broadcast_from_main(self, value: Any) -> Any:
        """The value of the main process, on every process."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0, device=self.device)
        return values[0]

    def run_on_main(self, work: Callable[[], _T]) -> _T:
        """Let the main process alone do something; all get its result, or raise its exception."""
        if self.size == 1:
            return work()
        result, error = None, None
        if self.is_main:
            try:
                result = work()
            except Exception as raised:  # it is raised again below, on every process
                error = _portable(raised)
        result, error = self.broadcast_from_main((result, error))
        if error is not None:
            raise error
        return cast(_T, result)

    def broadcast_parameters(self, model: nn.Module) -> None:
        """Give every process the weights of the main one."""
        if self.size > 1:
            for parameter in model.parameters():
                distributed.broadcast(parameter.detach(), src=0)


@contextlib.contextmanager
def join_workers(device: str | None) -> Iterator[Workers]:
    """Join the processes that torchrun started, for the length of the block; or be alone.

    On GPUs process i of a machine takes GPU i and they talk by nccl, on CPUs by gloo.

    Raises:
        BackendError: if the device is not to be had, or there are more processes than GPUs.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    found = _resolve_device(device, several=size > 1)
    if size == 1 or distributed.is_initialized():
        yield _present(found)
        return
    if found.type == "cuda":
        torch.cuda.set_device(found)
    store, rank, size = next(rendezvous("env://", timeout=_TIMEOUT))
    # A process may join more than once, for one run after another: each time under another name,
    # or it would find the addresses that the others had the time before.
    times = store.add(f"bothways/joined/{rank}", 1)
    distributed.init_process_group(
        "nccl" if found.type == "cuda" else "gloo",
        timeout=_TIMEOUT,
        store=PrefixStore(f"bothways/{times}", store),
        rank=rank,
        world_size=size,
        device_id=found if found.type == "cuda" else None,
    )
    try:
        yield _present(found)
    finally:
        gc.collect()  # what holds on to the group would keep its threads until the program's end
        distributed.destroy_process_group()


def _present(device: torch.device) -> Workers:
    if not distributed.is_initialized():
        return Workers(0, 1, device)
    return Workers(distributed.get_rank(), distributed.get_world_size(), device)


def _portable(error: Exception) -> Exception:
    """The error, or its message where it cannot travel to another process."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own, made on this line
    except Exception:  # whatever its own way to be made raises
        return BothwaysError(f"{type(error).__name__}: {error}")
    return error


def _resolve_device(device: str | None, *, several: bool) -> torch.device:
    kind, _, index = (device or ("cuda" if torch.cuda.is_available() else "cpu")).partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdecimal()):
        raise BackendError(f"device={device!r}: expected 'cpu', 'cuda' or 'cuda:N'")
    if kind == "cpu":
        return torch.device("cpu")
    if several and index:
        raise BackendError(f"device={device!r}: each process takes a GPU of its own; say 'cuda'")
    number = int(os.environ.get("LOCAL_RANK", "0")) if several else int(index or "0")
    if number >= (count := torch.cuda.device_count()):
        raise BackendError(
            f"device={device!r}: torch {torch.__version__} sees {count} GPUs here, and process "
            f"{number} of this machine needs one; start fewer processes, or choose device='cpu'"
        )
    return torch.device("cuda", number)


def _buckets(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    size = 0
    for gradient in gradients:
        bucket.append(gradient)
        size += gradient.numel() * gradient.element_size()
        if size >= _BUCKET_BYTES:
            yield bucket
            bucket, size = [], 0
    if bucket:
        yield bucket

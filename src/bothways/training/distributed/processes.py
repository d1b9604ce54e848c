"""The processes of a run: one, or those that torchrun started, each with a share of every step.

Every process knows all batches of a step and computes its share of them; sums over processes equal
what one process would compute. This replaces torch's DistributedDataParallel, which averages
gradients where losses here are sums, needs equally many backward passes on every process, which
batches by tokens do not give, and rearranges its buckets after the first step, so that a resumed
run would add in another order.
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
from bothways.nn.devices import resolve_device

__all__ = ["Workers", "join_workers", "process_rank"]

_T = TypeVar("_T")

_BUCKET_BYTES = 32 * 2**20
"""Bytes of gradients per all-reduce: large enough to make the cost of a call negligible."""

_TIMEOUT = timedelta(minutes=30)
"""Maximum wait for other processes: one of them may be writing a large checkpoint."""


def process_rank() -> int:
    """The rank of this process under torchrun; 0 without torchrun. Rank 0 writes the files."""
    return int(os.environ.get("RANK", "0"))


class Workers:
    """Communication between the processes of a run.

    rank: of this process. size: number of processes. device: of this process.
    """

    def __init__(self, rank: int, size: int, device: torch.device) -> None:
        self.rank, self.size, self.device = rank, size, device

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files and reports progress."""
        return self.rank == 0

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """Sum each number over all processes, in float64."""
        if self.size == 1:
            return list(numbers)
        total = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return [float(number) for number in total.tolist()]

    def sum_gradients(self, gradients: Sequence[Tensor]) -> None:
        """Replace each gradient by its sum over all processes.

        The buckets are always the same, so the order of additions is too.
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
        """The rows (n, D) of each process, by rank; n may differ between processes."""
        if self.size == 1:
            return [rows]
        counts = [int(count) for count in self.all_gather_object(len(rows))]
        padded = rows.new_zeros(max(counts), rows.shape[1])
        padded[: len(rows)] = rows
        gathered = [torch.empty_like(padded) for _ in counts]
        distributed.all_gather(gathered, padded)
        return [part[:count] for part, count in zip(gathered, counts, strict=True)]

    def all_gather_object(self, value: Any) -> list[Any]:
        """Gather a value that can be pickled from each process, by rank."""
        if self.size == 1:
            return [value]
        values = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def gather_to_main(self, value: Any) -> list[Any]:
        """Gather the values of all processes on the main process, by rank; [] on the others."""
        if self.size == 1:
            return [value]
        values = [None] * self.size if self.is_main else None
        distributed.gather_object(value, values)
        return values or []

    def broadcast_from_main(self, value: Any) -> Any:
        """Broadcast the value of the main process to every process."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0, device=self.device)
        return values[0]

    def run_on_main(self, work: Callable[[], _T]) -> _T:
        """Call a function on the main process only; all return its result or raise its error."""
        if self.size == 1:
            return work()
        result, error = None, None
        if self.is_main:
            try:
                result = work()
            except Exception as raised:  # raised again below, on every process
                error = _portable(raised)
        result, error = self.broadcast_from_main((result, error))
        if error is not None:
            raise error
        return cast(_T, result)

    def broadcast_parameters(self, model: nn.Module) -> None:
        """Broadcast the weights of the main process to every process."""
        if self.size > 1:
            for parameter in model.parameters():
                distributed.broadcast(parameter.detach(), src=0)


@contextlib.contextmanager
def join_workers(device: str | None) -> Iterator[Workers]:
    """Join the processes that torchrun started, within the block; without torchrun, one process.

    On GPUs, process i of a machine uses GPU i and nccl; on CPUs, processes use gloo.

    Raises:
        BackendError: if the device is not available, or there are more processes than GPUs.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    resolved = _resolve_device(device, several=size > 1)
    if size == 1 or distributed.is_initialized():
        yield _current_workers(resolved)
        return
    if resolved.type == "cuda":
        torch.cuda.set_device(resolved)
    store, rank, size = next(rendezvous("env://", timeout=_TIMEOUT))
    # A process may join several times, for one run after another. Each time needs another prefix:
    # otherwise it would read the addresses that the others stored the time before.
    generation = store.add(f"bothways/joined/{rank}", 1)
    distributed.init_process_group(
        "nccl" if resolved.type == "cuda" else "gloo",
        timeout=_TIMEOUT,
        store=PrefixStore(f"bothways/{generation}", store),
        rank=rank,
        world_size=size,
        device_id=resolved if resolved.type == "cuda" else None,
    )
    try:
        yield _current_workers(resolved)
    finally:
        gc.collect()  # references to the group would keep its threads alive
        distributed.destroy_process_group()


def _current_workers(device: torch.device) -> Workers:
    if not distributed.is_initialized():
        return Workers(0, 1, device)
    return Workers(distributed.get_rank(), distributed.get_world_size(), device)


def _portable(error: Exception) -> Exception:
    """The error, or one with its message if it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - pickled on this line
    except Exception:  # its own constructor may raise anything
        return BothwaysError(f"{type(error).__name__}: {error}")
    return error


def _resolve_device(device: str | None, *, several: bool) -> torch.device:
    if several and device is not None and device.startswith("cuda:"):
        raise BackendError(f"device={device!r}: each process uses its own GPU; choose 'cuda'")
    resolved = resolve_device(device)
    if resolved.type == "mps":
        raise BackendError(f"device={device!r}: training runs on 'cpu' and 'cuda'")
    if resolved.type == "cpu":
        return resolved
    number = int(os.environ.get("LOCAL_RANK", "0")) if several else resolved.index or 0
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

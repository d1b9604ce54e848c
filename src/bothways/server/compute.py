"""The one thread that computes for a device: batches from the queue, results to the event loop."""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from bothways.server.queue import Entry, JobBatch, Ticket, TurnQueue

__all__ = ["BatchReport", "Computer", "Failure", "Pending"]

Kind = TypeVar("Kind", bound=Hashable)

RATE_WINDOW_S, BUSY_WINDOW_S = 10.0, 60.0

_log = logging.getLogger("bothways.server")


class Failure(NamedTuple):
    """The result of an input for which the engine raised."""

    error: Exception


class BatchReport(NamedTuple):
    """A batch that was computed."""

    kind: Any
    inputs: int
    tokens: int
    seconds: float


class Pending:
    """A request that waits for its results.

    future: resolves to the results in order, each as the engine gave it or a `Failure`.
    first_started: when its first input was in a batch.
    """

    def __init__(self, inputs: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[list[Any]] = self.loop.create_future()
        self.first_started: float | None = None
        self._results: list[Any] = [None] * inputs
        self._missing = inputs

    def fail(self, error: Exception) -> None:
        """Give up: every result is a failure; in the event loop."""
        if not self.future.done():
            self.future.set_result([Failure(error)] * len(self._results))

    def deliver(self, results: Sequence[tuple[int, Any]], started: float) -> None:
        """Take some of the results; in the event loop."""
        if self.first_started is None:
            self.first_started = started
        for index, result in results:
            self._results[index] = result
        self._missing -= len(results)
        if not self._missing and not self.future.done():
            self.future.set_result(self._results)


class _Speed:
    """Tokens and seconds of computation in each of the last seconds."""

    def __init__(self) -> None:
        self._per_second: deque[tuple[int, int, float]] = deque(maxlen=int(BUSY_WINDOW_S) + 1)

    def add(self, ended: float, tokens: int, seconds: float) -> None:
        """Count a batch."""
        if self._per_second and self._per_second[-1][0] == int(ended):
            _, earlier_tokens, earlier_seconds = self._per_second.pop()
            tokens, seconds = tokens + earlier_tokens, seconds + earlier_seconds
        self._per_second.append((int(ended), tokens, seconds))

    def since(self, start: float) -> tuple[int, float]:
        """Tokens and seconds of the batches that ended after a time."""
        recent = [(t, s) for second, t, s in self._per_second if second >= start]
        return sum(t for t, _ in recent), sum(s for _, s in recent)


class Computer(Generic[Kind]):
    """A queue, and the thread that computes what is in it.

    compute: the results of payloads of one kind, in order; it runs in the thread. budget: tokens of
    a batch. linger_s: how long the first batch after a pause waits for more inputs. on_batch:
    called in the thread after each batch. on_death: called in the thread if it ends by an error, as
    nothing computes then.
    """

    def __init__(
        self,
        compute: Callable[[Kind, Sequence[Any]], Sequence[Any]],
        budget: Callable[[Kind], int],
        *,
        coalesce: bool = True,
        linger_s: float = 0.0,
        on_batch: Callable[[BatchReport], None] = lambda report: None,
        on_death: Callable[[], None] = lambda: None,
    ) -> None:
        self._compute = compute
        self._linger_s = linger_s
        self._on_batch = on_batch
        self._on_death = on_death
        self._queue: TurnQueue[Kind] = TurnQueue(budget, coalesce=coalesce)
        self._changed = threading.Condition()
        self._stopping = False
        self._pending: set[Pending] = set()
        self._speed = _Speed()
        self._has_died = False
        self._thread = threading.Thread(target=self._run, name="bothways-compute", daemon=True)
        self._started = time.monotonic()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after its current batch; what is queued is not computed."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread, for some seconds."""
        self._thread.join(timeout)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return not self._has_died and self._thread.is_alive()

    @property
    def queued_tokens(self) -> int:
        """Tokens that wait."""
        return self._queue.tokens

    @property
    def coalesced(self) -> int:
        """Inputs that were answered with the result of an equal one."""
        return self._queue.coalesced

    def submit(
        self, client: Hashable, kind: Kind, entries: Sequence[Entry], *, deadline: float
    ) -> Ticket[Kind]:
        """Queue the inputs of a request, in the event loop; the ticket's context is a `Pending`.

        deadline: in the time of `time.monotonic`.
        """
        pending = Pending(len(entries))
        if not entries:
            pending.future.set_result([])
        self._pending.add(pending)
        pending.future.add_done_callback(lambda _: self._pending.discard(pending))
        with self._changed:
            ticket = self._queue.submit(
                client, kind, entries, deadline=deadline, now=time.monotonic(), context=pending
            )
            self._changed.notify()
        return ticket

    def cancel(self, ticket: Ticket[Kind]) -> int:
        """Drop what a request still waits for; the number of inputs that nobody else needs."""
        with self._changed:
            return self._queue.cancel(ticket)

    def waiting(self) -> list[Ticket[Kind]]:
        """The requests of which at least one input is queued."""
        with self._changed:
            return list(self._queue.tickets())

    def tokens_per_second(self) -> float | None:
        """Tokens per second of computation over the last 10 s; None if nothing was computed."""
        with self._changed:
            tokens, seconds = self._speed.since(time.monotonic() - RATE_WINDOW_S)
        return tokens / seconds if tokens and seconds else None

    def busy_ratio(self) -> float:
        """The share of the last minute in which the thread computed."""
        now = time.monotonic()
        with self._changed:
            _, seconds = self._speed.since(now - BUSY_WINDOW_S)
        return min(1.0, seconds / max(min(BUSY_WINDOW_S, now - self._started), 1e-9))

    def _run(self) -> None:
        try:
            while self._run_next():
                pass
        except BaseException:
            self._has_died = True  # before clients learn of it
            _log.critical("the compute thread has died", exc_info=True)
            self._on_death()
            error = RuntimeError("the compute thread has died")
            for pending in list(self._pending):
                with contextlib.suppress(RuntimeError):
                    pending.loop.call_soon_threadsafe(pending.fail, error)

    def _run_next(self) -> bool:
        """Compute a batch, and keep nothing of it; whether there may be more."""
        batch = self._next_batch()
        if batch is None:
            return False
        self._run_batch(batch)
        return True

    def _next_batch(self) -> JobBatch[Kind] | None:
        with self._changed:
            was_idle = False
            while not self._stopping:
                if was_idle and self._linger_s and self._queue.tokens:
                    self._changed.wait_for(lambda: self._stopping, self._linger_s)
                if (batch := self._queue.next_batch(time.monotonic())) is not None:
                    return batch
                self._changed.wait()
                was_idle = True
            return None

    def _run_batch(self, batch: JobBatch[Kind]) -> None:
        started = time.monotonic()
        results = self._results(batch)
        ended = time.monotonic()
        deliveries: dict[Pending, list[tuple[int, Any]]] = {}
        result_of = dict(zip(map(id, batch.jobs), results, strict=True))
        with self._changed:
            for ticket, index, job in self._queue.finish(batch):
                deliveries.setdefault(ticket.context, []).append((index, result_of[id(job)]))
            self._speed.add(ended, batch.tokens, ended - started)
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Pending, list[tuple[int, Any]]]]] = {}
        for pending, items in deliveries.items():
            by_loop.setdefault(pending.loop, []).append((pending, items))
        for loop, of_loop in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop was closed, and with it the server
                loop.call_soon_threadsafe(_deliver_all, of_loop, started)
        self._on_batch(BatchReport(batch.kind, len(batch.jobs), batch.tokens, ended - started))

    def _results(self, batch: JobBatch[Kind]) -> Sequence[Any]:
        """The results of a batch; if the engine raises, of each input by itself."""
        payloads = [job.payload for job in batch.jobs]
        try:
            return self._compute(batch.kind, payloads)
        except Exception as error:
            if len(payloads) == 1:
                return [Failure(error)]
            _log.warning("a batch of %d inputs failed; computing them one by one", len(payloads))
        return [self._result(batch.kind, payload) for payload in payloads]

    def _result(self, kind: Kind, payload: Any) -> Any:
        try:
            (result,) = self._compute(kind, [payload])
        except Exception as error:
            return Failure(error)
        return result


def _deliver_all(
    deliveries: Sequence[tuple[Pending, Sequence[tuple[int, Any]]]], started: float
) -> None:
    for pending, items in deliveries:
        pending.deliver(items, started)

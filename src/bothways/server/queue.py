"""The queue of a device: requests take turns, and batches are filled by tokens.

Clients take turns. A turn serves one request up to a quantum of tokens; what its next input needs
beyond that is saved up over turns (deficit round robin, Shreedhar and Varghese 1995). Of a client's
requests, the one with the fewest tokens left has the turn, so that a query does not wait for a
list, and a request that has begun ends before another of its size begins; every fourth turn is that
of the oldest, so that none waits for ever. The request that is first in turn decides the kind of a
batch, and the others of that kind fill it, so that no client gains from sending several kinds.

Nothing here knows threads, an event loop or a clock: the caller locks, and passes the time.
"""

import dataclasses
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

__all__ = ["Entry", "Job", "JobBatch", "Ticket", "TurnQueue"]

Kind = TypeVar("Kind", bound=Hashable)

TURNS_PER_BATCH = 4
"""Turns that fill a batch: a quantum is the budget of a batch divided by this."""

OLDEST_TURN = 4
"""Of this many turns of a client, one is that of its oldest request."""


class Entry(NamedTuple):
    """An input of a request: its tokens, what the engine needs, and a key.

    Entries of one kind with equal keys have equal results, and are computed once; None for never.
    """

    tokens: int
    payload: Any
    key: Hashable | None = None


@dataclasses.dataclass(eq=False)
class Job:
    """An input to compute, for one or several requests.

    waiters: the requests that need the result, with the place of the input in each.
    taken: whether it is in a batch that runs.
    """

    tokens: int
    payload: Any
    key: Hashable | None
    waiters: "list[tuple[Ticket[Any], int]]" = dataclasses.field(default_factory=list)
    taken: bool = False


@dataclasses.dataclass(eq=False)
class Ticket(Generic[Kind]):
    """A request in the queue.

    deadline: the time at which what is still queued is dropped. context: the caller's own.
    jobs: what is still to take, in order. tokens: of these. credit: tokens saved up over turns.
    """

    client: Hashable
    kind: Kind
    deadline: float
    submitted: float
    context: Any = None
    jobs: deque[Job] = dataclasses.field(default_factory=deque)
    awaited: list[Job] = dataclasses.field(default_factory=list)
    tokens: int = 0
    credit: int = 0


@dataclasses.dataclass(eq=False)
class JobBatch(Generic[Kind]):
    """Jobs of one kind that are computed together."""

    kind: Kind
    jobs: list[Job] = dataclasses.field(default_factory=list)
    tokens: int = 0


class TurnQueue(Generic[Kind]):
    """Requests that wait for a device.

    budget: tokens of a batch of a kind; an input with more gets a batch of its own.
    coalesce: whether equal inputs of one kind are computed once.
    """

    def __init__(self, budget: Callable[[Kind], int], *, coalesce: bool = True) -> None:
        self._budget = budget
        self._coalesce = coalesce
        self._clients: dict[Hashable, list[Ticket[Kind]]] = {}
        """Requests by client, oldest first; clients in the order of their turns."""
        self._turns: dict[Hashable, int] = {}
        """Turns that each client has had since it had no requests."""
        self._jobs: dict[tuple[Kind, Hashable], Job] = {}
        self.tokens = 0
        """Tokens that are queued, and not yet in a batch."""
        self.coalesced = 0
        """Inputs that were found equal to one that was queued or running."""

    def submit(
        self,
        client: Hashable,
        kind: Kind,
        entries: Sequence[Entry],
        *,
        deadline: float,
        now: float,
        context: Any = None,
    ) -> Ticket[Kind]:
        """Queue the inputs of a request."""
        ticket = Ticket(client, kind, deadline, now, context)
        for index, entry in enumerate(entries):
            job = self._job(kind, entry)
            job.waiters.append((ticket, index))
            ticket.awaited.append(job)
            if not job.taken:
                ticket.jobs.append(job)
                ticket.tokens += job.tokens
        if ticket.jobs:
            self._clients.setdefault(client, []).append(ticket)
        return ticket

    def next_batch(self, now: float) -> JobBatch[Kind] | None:
        """Take the inputs to compute next; None if nothing is queued.

        Requests whose deadline has passed are dropped first.
        """
        self.expire(now)
        client = next(iter(self._clients), None)
        if client is None:
            return None
        first = self._next_of(client, self._clients[client])
        batch = JobBatch(first.kind)
        budget = self._budget(first.kind)
        while clients := [name for name in self._clients if self._in_turn(name, first.kind)]:
            if any(self._is_full_after_turn(name, batch, budget) for name in clients):
                break
        return batch

    def finish(self, batch: JobBatch[Kind]) -> Iterator[tuple[Ticket[Kind], int, Job]]:
        """The requests that wait for the jobs of a batch, with the place of each in its request."""
        for job in batch.jobs:
            if job.key is not None and self._jobs.get((batch.kind, job.key)) is job:
                del self._jobs[batch.kind, job.key]
            for ticket, index in job.waiters:
                yield ticket, index, job

    def cancel(self, ticket: Ticket[Kind]) -> int:
        """Drop what a request still waits for; the number of inputs that nobody else needs."""
        dropped = 0
        for job in ticket.awaited:
            had_waiters = bool(job.waiters)
            job.waiters = [waiter for waiter in job.waiters if waiter[0] is not ticket]
            if had_waiters and not job.waiters and not job.taken:
                dropped += 1
                self.tokens -= job.tokens
                if job.key is not None:
                    self._jobs.pop((ticket.kind, job.key), None)
        ticket.awaited.clear()
        ticket.jobs.clear()
        self._leave(ticket)
        return dropped

    def expire(self, now: float) -> list[Ticket[Kind]]:
        """Cancel the requests whose deadline has passed, and return them."""
        late = [ticket for ticket in self.tickets() if ticket.deadline <= now]
        for ticket in late:
            self.cancel(ticket)
        return late

    def tickets(self) -> Iterator[Ticket[Kind]]:
        """The requests of which at least one input is queued."""
        for tickets in self._clients.values():
            yield from tickets

    def _job(self, kind: Kind, entry: Entry) -> Job:
        key = entry.key if self._coalesce else None
        known = None if key is None else self._jobs.get((kind, key))
        if known is not None:
            self.coalesced += 1
            return known
        job = Job(entry.tokens, entry.payload, key)
        self.tokens += entry.tokens
        if key is not None:
            self._jobs[kind, key] = job
        return job

    def _in_turn(self, client: Hashable, kind: Kind) -> Ticket[Kind] | None:
        """The request of a client whose turn it is, of those of a kind."""
        tickets = [ticket for ticket in self._clients.get(client, ()) if ticket.kind == kind]
        return self._next_of(client, tickets) if tickets else None

    def _next_of(self, client: Hashable, tickets: Sequence[Ticket[Kind]]) -> Ticket[Kind]:
        """The request whose turn it is, of some of a client's, oldest first."""
        if self._turns.get(client, 0) % OLDEST_TURN == OLDEST_TURN - 1:
            return tickets[0]
        return min(tickets, key=lambda ticket: ticket.tokens)

    def _is_full_after_turn(self, client: Hashable, batch: JobBatch[Kind], budget: int) -> bool:
        """Serve a client's turn; whether the batch has no room for its next input."""
        credit, has_taken = max(1, budget // TURNS_PER_BATCH), False
        while credit and (ticket := self._in_turn(client, batch.kind)):
            ticket.credit += credit
            while ticket.jobs:
                job = ticket.jobs[0]
                if job.taken:  # in the turn of another request that needs it
                    self._pass(ticket)
                    continue
                if batch.jobs and batch.tokens + job.tokens > budget:
                    if has_taken:
                        self._end_turn(client)
                    else:
                        ticket.credit -= credit
                    return True
                if job.tokens > ticket.credit:
                    self._end_turn(client)
                    return False
                ticket.credit -= job.tokens
                has_taken = True
                self._take(job, batch)
                self._pass(ticket)
            credit = ticket.credit  # the client's next request has the rest of the turn
            self._leave(ticket)
        self._end_turn(client)
        return False

    def _take(self, job: Job, batch: JobBatch[Kind]) -> None:
        job.taken = True
        self.tokens -= job.tokens
        batch.jobs.append(job)
        batch.tokens += job.tokens

    def _pass(self, ticket: Ticket[Kind]) -> None:
        """Go on to the next input of a request."""
        ticket.tokens -= ticket.jobs.popleft().tokens

    def _end_turn(self, client: Hashable) -> None:
        """Put a client behind the others."""
        if client in self._clients:
            self._clients[client] = self._clients.pop(client)
            self._turns[client] = self._turns.get(client, 0) + 1

    def _leave(self, ticket: Ticket[Kind]) -> None:
        tickets = self._clients.get(ticket.client)
        if tickets is not None and ticket in tickets:
            tickets.remove(ticket)
            if not tickets:
                del self._clients[ticket.client]
                self._turns.pop(ticket.client, None)

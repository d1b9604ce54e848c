"""The queue by itself: turns, batches by tokens, deadlines, cancelling, equal inputs."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bothways.server.queue import Entry, JobBatch, Ticket, TurnQueue

BUDGET = 256


def queue_of(budget: int = BUDGET, *, coalesce: bool = True) -> TurnQueue[str]:
    return TurnQueue(lambda kind: budget, coalesce=coalesce)


def submit(
    queue: TurnQueue[str],
    tokens: list[int],
    *,
    client: str = "a",
    kind: str = "embed",
    keys: list[str] | None = None,
    deadline: float = 100,
) -> Ticket[str]:
    entries = [Entry(n, n, keys[i] if keys else None) for i, n in enumerate(tokens)]
    return queue.submit(client, kind, entries, deadline=deadline, now=0)


def served(queue: TurnQueue[str], batch: JobBatch[str] | None) -> Counter[int]:
    """How many inputs of each request a batch computes."""
    assert batch is not None
    return Counter(id(ticket) for ticket, _, _ in queue.finish(batch))


def test_a_batch_has_at_most_the_budget_and_an_input_beyond_it_goes_alone() -> None:
    queue = queue_of(100)
    submit(queue, [60, 40, 1, 300, 7])
    batches = [queue.next_batch(0) for _ in range(4)]
    assert [[job.tokens for job in batch.jobs] for batch in batches if batch] == [
        [60, 40],
        [1],
        [300],
        [7],
    ]
    assert queue.next_batch(0) is None
    assert queue.tokens == 0


@pytest.mark.parametrize("client", ["a", "b"])
@pytest.mark.parametrize("length", [12, 128, 256])
def test_a_query_beside_a_list_is_in_the_next_batch(client: str, length: int) -> None:
    queue = queue_of()
    submit(queue, [length] * 2048)
    for _ in range(3):
        queue.next_batch(0)
        query = submit(queue, [12], client=client)
        assert served(queue, queue.next_batch(0))[id(query)] == 1


def test_a_request_that_has_begun_ends_before_others_of_its_size_begin() -> None:
    queue = queue_of()
    requests = [submit(queue, [64] * 20) for _ in range(5)]
    done: Counter[int] = Counter()
    for _ in range(5):
        done += served(queue, queue.next_batch(0))
    assert [done[id(request)] for request in requests] == [20, 0, 0, 0, 0]


def test_a_list_goes_on_beside_endless_queries_of_its_client() -> None:
    queue = queue_of()
    long = submit(queue, [64] * 100)
    done: Counter[int] = Counter()
    for _ in range(40):
        for _ in range(8):
            submit(queue, [64])
        done += served(queue, queue.next_batch(0))
    assert done[id(long)] >= 20


def test_clients_share_alike_whatever_the_number_of_their_requests() -> None:
    queue = queue_of()
    for _ in range(50):
        submit(queue, [10] * 10, client="many requests")
    one = submit(queue, [10] * 500, client="one request")
    counts: Counter[int] = Counter()
    for _ in range(10):
        counts += served(queue, queue.next_batch(0))
    assert counts[id(one)] == pytest.approx(counts.total() / 2, rel=0.1)


def test_kinds_do_not_mix_and_the_first_in_turn_decides() -> None:
    queue = queue_of()
    submit(queue, [100] * 6, kind="embed")
    rerank = submit(queue, [10], kind="rerank", client="b")
    first = queue.next_batch(0)
    assert first is not None
    assert first.kind == "embed"
    second = queue.next_batch(0)
    assert second is not None
    assert second.kind == "rerank"
    assert served(queue, second) == {id(rerank): 1}


def test_several_kinds_give_a_client_no_larger_share() -> None:
    queue = queue_of()
    for kind in ("k1", "k2", "k3", "k4"):
        submit(queue, [64] * 100, client="a", kind=kind)
    one = submit(queue, [64] * 100, client="b", kind="embed")
    batches = [queue.next_batch(0) for _ in range(20)]
    counts = [served(queue, batch)[id(one)] > 0 for batch in batches]
    assert sum(counts) == 10


def test_what_is_queued_at_its_deadline_is_dropped() -> None:
    queue = queue_of()
    late = submit(queue, [200, 200], deadline=5)
    submit(queue, [10], deadline=50)
    queue.next_batch(1)
    assert queue.expire(5) == [late]
    batch = queue.next_batch(6)
    assert batch is None or late not in [t for t, _, _ in queue.finish(batch)]
    assert queue.tokens == 0


def test_a_cancelled_request_leaves_nothing_behind() -> None:
    queue = queue_of()
    gone = submit(queue, [200] * 60)
    queue.next_batch(0)
    assert queue.cancel(gone) == 59
    assert queue.tokens == 0
    assert queue.next_batch(0) is None
    assert not list(queue.tickets())


def test_equal_inputs_are_computed_once_and_answer_everyone() -> None:
    queue = queue_of()
    first = submit(queue, [10, 10, 20], keys=["x", "x", "y"])
    second = submit(queue, [10], keys=["x"], client="b")
    assert queue.tokens == 30
    assert queue.coalesced == 2
    batch = queue.next_batch(0)
    assert batch is not None
    assert len(batch.jobs) == 2
    late = submit(queue, [20], keys=["y"])  # joins the one that is running
    waiters = [(ticket, index) for ticket, index, _ in queue.finish(batch)]
    assert sorted(index for ticket, index in waiters if ticket is first) == [0, 1, 2]
    assert (second, 0) in waiters
    assert (late, 0) in waiters
    assert queue.next_batch(0) is None
    again = submit(queue, [20], keys=["y"])
    assert served(queue, queue.next_batch(0)) == {id(again): 1}


def test_an_equal_input_survives_the_request_that_queued_it_first() -> None:
    queue = queue_of()
    first = submit(queue, [10], keys=["x"])
    second = submit(queue, [10], keys=["x"], client="b")
    assert queue.cancel(first) == 0
    assert served(queue, queue.next_batch(0)) == {id(second): 1}


def test_equal_inputs_of_other_kinds_stay_apart() -> None:
    queue = queue_of()
    submit(queue, [10], keys=["x"])
    submit(queue, [10], keys=["x"], kind="tokens")
    assert queue.coalesced == 0


REQUESTS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["embed", "tokens"]),
        st.lists(st.tuples(st.integers(1, 90), st.integers(0, 5)), max_size=6),
        st.sampled_from(["keep", "cancel", "late"]),
        st.integers(0, 2),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=60)
@given(REQUESTS, st.integers(1, 64), st.booleans())
def test_every_input_is_answered_once_unless_its_request_was_dropped(
    requests: list[tuple[str, str, list[tuple[int, int]], str, int]], budget: int, coalesce: bool
) -> None:
    queue = queue_of(budget, coalesce=coalesce)
    tickets: list[Ticket[str]] = []
    answered: Counter[tuple[int, int]] = Counter()
    fates: list[str] = []

    def run_one() -> None:
        batch = queue.next_batch(10)
        if batch is None:
            return
        assert batch.jobs
        assert batch.tokens == sum(job.tokens for job in batch.jobs)
        assert batch.tokens <= budget or len(batch.jobs) == 1
        for ticket, index, _ in queue.finish(batch):
            assert ticket.kind == batch.kind
            answered[id(ticket), index] += 1

    for client, kind, inputs, fate, batches in requests:
        entries = [Entry(tokens, None, (tokens, key)) for tokens, key in inputs]
        deadline = 10 if fate == "late" else 20
        tickets.append(queue.submit(client, kind, entries, deadline=deadline, now=0))
        fates.append(fate)
        if fate == "cancel":
            queue.cancel(tickets[-1])
        for _ in range(batches):
            run_one()
    while list(queue.tickets()):
        run_one()
    assert queue.tokens == 0
    for ticket, fate, (*_, inputs, _, _) in zip(tickets, fates, requests, strict=True):
        for index in range(len(inputs)):
            count = answered[id(ticket), index]
            assert count == 1 if fate == "keep" else count <= (0 if fate == "cancel" else 1)

"""The thread that computes: its speed, its share of time, and results for several event loops."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from bothways.server.compute import Computer
from bothways.server.queue import Entry


def double(kind: str, payloads: Sequence[Any]) -> Sequence[Any]:
    time.sleep(0.01)
    return [2 * payload for payload in payloads]


def test_it_answers_several_event_loops_and_measures_its_speed() -> None:
    computer: Computer[str] = Computer(double, lambda kind: 10)
    computer.start()
    assert computer.tokens_per_second() is None

    async def ask(values: list[int]) -> list[Any]:
        entries = [Entry(5, value) for value in values]
        ticket = computer.submit("a", "k", entries, deadline=time.monotonic() + 20)
        results: list[Any] = await ticket.context.future
        return results

    assert asyncio.run(ask([1, 2, 3])) == [2, 4, 6]
    assert asyncio.run(ask([4])) == [8]
    assert asyncio.run(ask([])) == []
    assert 10 < (computer.tokens_per_second() or 0) <= 1000
    assert 0 < computer.busy_ratio() <= 1
    computer.stop()
    computer.join(5)
    assert not computer.is_alive


def test_a_loop_that_has_ended_is_no_error() -> None:
    computer: Computer[str] = Computer(double, lambda kind: 10)
    computer.start()

    async def leave() -> None:
        computer.submit("a", "k", [Entry(1, 1)], deadline=time.monotonic() + 20)

    asyncio.run(leave())
    time.sleep(0.05)
    assert computer.is_alive
    computer.stop()


def test_a_batch_lingers_for_inputs_that_follow() -> None:
    batches: list[int] = []

    def record(kind: str, payloads: Sequence[Any]) -> Sequence[Any]:
        batches.append(len(payloads))
        return payloads

    computer: Computer[str] = Computer(record, lambda kind: 10, linger_s=0.1)
    computer.start()

    async def ask() -> None:
        deadline = time.monotonic() + 20
        tickets = [
            computer.submit(client, "k", [Entry(1, client)], deadline=deadline) for client in "abc"
        ]
        for ticket in tickets:
            await ticket.context.future

    asyncio.run(ask())
    assert batches == [3]
    computer.stop()


@pytest.mark.parametrize("seconds", [0, 100])
def test_speed_is_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    computer: Computer[str] = Computer(double, lambda kind: 10)
    computer._speed.add(1000.0, 50, 0.25)
    computer._speed.add(1000.5, 50, 0.25)
    now[0] += seconds
    assert computer.tokens_per_second() == (None if seconds else 200)

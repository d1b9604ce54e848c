"""Calls that a thread makes while the caller goes on."""

import threading
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from bothways.io.write_behind import WriteBehind


@pytest.mark.parametrize("enabled", [True, False])
def test_calls_are_made_in_order(enabled: bool) -> None:
    made: list[int] = []
    with WriteBehind(enabled=enabled) as behind:
        for number in range(20):
            behind.submit(partial(made.append, number))
    assert made == list(range(20))


def test_a_call_runs_beside_the_caller_and_the_next_one_waits() -> None:
    go, order = threading.Event(), []

    def call() -> None:
        go.wait(5)
        order.append("first")

    with WriteBehind() as behind:
        behind.submit(call)
        order.append("caller")
        go.set()
        behind.submit(partial(order.append, "second"))
    assert order == ["caller", "first", "second"]


def run(calls: Sequence[Callable[[], object]], error: Exception | None = None) -> None:
    with WriteBehind() as behind:
        for call in calls:
            behind.submit(call)
        if error is not None:
            raise error


def fail() -> None:
    raise ValueError("the disk is full")


def test_an_error_is_raised_by_the_next_call_or_at_the_end() -> None:
    made: list[int] = []
    with pytest.raises(ValueError, match="full"):
        run([fail, partial(made.append, 1)])
    with pytest.raises(ValueError, match="full"):
        run([fail])
    assert not made


def test_an_error_of_the_block_takes_precedence() -> None:
    with pytest.raises(KeyError):
        run([fail], KeyError())

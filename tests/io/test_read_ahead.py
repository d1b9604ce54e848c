"""Items computed ahead by a thread."""

import threading
from collections.abc import Iterator

import pytest

from bothways.io.read_ahead import read_ahead


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "bothways-read-ahead"]


def test_items_come_in_order() -> None:
    assert list(read_ahead(iter(range(100)))) == list(range(100))
    assert list(read_ahead(())) == []


def test_items_are_computed_ahead_up_to_the_count() -> None:
    computed = threading.Semaphore(0)

    def items() -> Iterator[int]:
        for item in range(100):
            computed.release()
            yield item

    ahead = read_ahead(items(), count=3)
    next(ahead)
    for _ in range(4):  # the first, and three ahead
        assert computed.acquire(timeout=5)
    assert not computed.acquire(timeout=0.02)
    ahead.close()


def test_an_error_is_raised_at_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("damaged")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="damaged"):
        next(ahead)


def test_closing_ends_the_thread() -> None:
    ahead = read_ahead(iter(range(1000)))
    next(ahead)
    assert threads()
    ahead.close()
    assert not threads()


def test_closing_closes_the_generator_of_the_items() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    ahead = read_ahead(items())
    next(ahead)
    ahead.close()
    assert closed.is_set()

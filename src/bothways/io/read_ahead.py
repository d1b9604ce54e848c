"""Computing the next items of an iterator while the caller works on this one."""

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

__all__ = ["read_ahead"]

Item = TypeVar("Item")


def read_ahead(items: Iterable[Item], count: int = 2) -> Generator[Item]:
    """Yield items in order, of which a thread computes up to `count` ahead.

    An error of the iterator is raised at its place. Closing the generator ends the thread, and
    closes the iterator if it is a generator.
    """
    ready: queue.SimpleQueue[tuple[Item] | BaseException | None] = queue.SimpleQueue()
    room = threading.Semaphore(count)
    stopped = threading.Event()

    def compute() -> None:
        try:
            iterator = iter(items)
            while room.acquire() and not stopped.is_set():
                try:
                    item = next(iterator)
                except StopIteration:
                    ready.put(None)
                    return
                ready.put((item,))
                del item  # the caller alone holds it
        except BaseException as error:
            ready.put(error)
        finally:
            if isinstance(items, Generator):
                with contextlib.suppress(Exception):
                    items.close()

    thread = threading.Thread(target=compute, name="bothways-read-ahead", daemon=True)
    thread.start()
    try:
        while (entry := ready.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            room.release()
            yield entry[0]
            del entry
    finally:
        stopped.set()
        room.release()
        thread.join()

"""Load for a server: an open loop with Poisson arrivals, and a closed loop.

In the open loop, requests are sent when they are due, whatever has become of those before, and
their latency counts from that time, so that a server that is late cannot hide its queue.
"""

import asyncio
import dataclasses
import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

__all__ = ["EMBEDDINGS", "ConnectionPool", "Load", "closed_loop", "open_loop", "request_bodies"]

EMBEDDINGS = "/v1/embeddings"

MAX_CONNECTIONS = 900
"""Connections at a time, below what the servers allow; a request beyond waits for one."""

TIMEOUT_S = 15.0
"""Seconds from the time when a request is due to its failure."""


@dataclasses.dataclass
class Load:
    """What became of the requests of a run.

    rate: requests per second that were due; 0 in a closed loop. seconds: how long they were due.
    latencies: seconds from the due time to the end of each reply with status 200.
    statuses: replies by status, and "failed" for none at all. lag: the worst delay of this program
    in seconds, of a request that was sent later than it was due.
    """

    rate: float
    seconds: float
    latencies: list[float] = dataclasses.field(default_factory=list)
    statuses: Counter[str] = dataclasses.field(default_factory=Counter)
    retry_after: int = 0
    lag: float = 0.0
    elapsed: float = 0.0

    def summary(self) -> dict[str, Any]:
        """The figures of the run: milliseconds, and replies per second."""
        quantiles = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
        return {
            "rate": self.rate,
            "seconds": self.seconds,
            "requests": self.statuses.total(),
            "statuses": dict(self.statuses),
            "refusals_with_retry_after": self.retry_after,
            "goodput": self.statuses["200"] / max(self.elapsed, self.seconds),
            "client_lag_ms": 1e3 * self.lag,
            "ms": {
                name: 1e3 * float(np.quantile(self.latencies, q))
                for name, q in quantiles.items()
                if self.latencies
            },
        }


def request_bodies(texts: Sequence[str], size: int) -> Iterator[bytes]:
    """Bodies of requests with `size` texts each, 0 for a single one that is not in a list; endless.

    The texts come in a random order, always the same.
    """
    order = random.Random(0)  # noqa: S311
    while True:
        shuffled = order.sample(list(texts), len(texts))
        for start in range(0, len(shuffled) - max(size, 1) + 1, max(size, 1)):
            given: Any = shuffled[start : start + size] if size else shuffled[start]
            yield json.dumps({"input": given, "encoding_format": "base64"}).encode()


def open_loop(port: int, bodies: Iterator[bytes], rate: float, seconds: float) -> Load:
    """Send requests at random times, `rate` per second on average."""
    draw = random.Random(round(1000 * rate))  # noqa: S311
    due: list[float] = []
    at = draw.expovariate(rate)
    while at < seconds:
        due.append(at)
        at += draw.expovariate(rate)
    return asyncio.run(_open_loop(port, [(at, next(bodies)) for at in due], rate, seconds))


def closed_loop(port: int, bodies: Iterator[bytes], clients: int, seconds: float) -> Load:
    """Let clients send one request after the other."""
    return asyncio.run(_closed_loop(port, bodies, clients, seconds))


async def _open_loop(
    port: int, requests: Sequence[tuple[float, bytes]], rate: float, seconds: float
) -> Load:
    load, pool = Load(rate, seconds), ConnectionPool(port)
    start = time.perf_counter() + 0.05
    tasks = []
    for at, body in requests:
        delay = start + at - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        load.lag = max(load.lag, time.perf_counter() - start - at)
        tasks.append(asyncio.create_task(pool.send(body, start + at, load)))
    await asyncio.gather(*tasks)
    load.elapsed = time.perf_counter() - start
    pool.close()
    return load


async def _closed_loop(port: int, bodies: Iterator[bytes], clients: int, seconds: float) -> Load:
    load, pool = Load(0.0, seconds), ConnectionPool(port)
    start = time.perf_counter()

    async def client() -> None:
        while (now := time.perf_counter()) < start + seconds:
            await pool.send(next(bodies), now, load)

    await asyncio.gather(*(client() for _ in range(clients)))
    load.elapsed = time.perf_counter() - start
    pool.close()
    return load


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ConnectionPool:
    """Connections that are kept open, and no more HTTP than servers of vectors need."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Connection] = []
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)

    async def send(self, body: bytes, due: float, load: Load, *, path: str = EMBEDDINGS) -> None:
        """Send a request and record its reply."""
        connection: Connection | None = None
        try:
            async with asyncio.timeout(due + TIMEOUT_S - time.perf_counter()), self._slots:
                connection = self._idle.pop() if self._idle else await self._open()
                status, headers = await self._exchange(connection, path, body)
        except (OSError, ValueError, asyncio.IncompleteReadError, TimeoutError):
            load.statuses["failed"] += 1
            if connection is not None:
                connection[1].close()
            return
        load.statuses[status] += 1
        load.retry_after += status != "200" and b"retry-after:" in headers
        if status == "200":
            load.latencies.append(time.perf_counter() - due)
        if b"connection: close" in headers:
            connection[1].close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        """Close the connections."""
        for _, writer in self._idle:
            writer.close()

    async def abandon(self, body: bytes, after: float) -> None:
        """Send a request, and close its connection some seconds later."""
        _, writer = await self._open()
        writer.write(self._request(EMBEDDINGS, body))
        await asyncio.sleep(after)
        writer.close()

    def _request(self, path: str, body: bytes) -> bytes:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def _open(self) -> Connection:
        return await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22)

    async def _exchange(self, connection: Connection, path: str, body: bytes) -> tuple[str, bytes]:
        """The status and the headers in lower case of the reply, whose body is read."""
        reader, writer = connection
        writer.write(self._request(path, body))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        _, _, rest = head.partition(b"\r\ncontent-length:")
        await reader.readexactly(int(rest.partition(b"\r\n")[0]))
        return head.split(b" ", 2)[1].decode(), head

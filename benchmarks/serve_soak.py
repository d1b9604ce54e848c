"""Memory and file descriptors of `bothways serve` under mixed traffic.

Claim: in 20 minutes, resident memory grows by less than 2 % and the number of open descriptors
stays the same. The traffic has single texts, lists, token vectors, similarities, tokens, requests
that are refused, and clients that close their connection before the reply. The first tenth of the
time is a warm-up; the medians of the second and of the last tenth are compared.

    pip install '.[serve]' scipy scikit-learn
    python benchmarks/serve_soak.py --minutes 20
"""

import argparse
import asyncio
import contextlib
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import record
from bothways.checkpoints import resolve
from corpus import make_workload
from servers.contenders import CONTENDERS, Server
from servers.load import ConnectionPool, Load

CLIENTS = 8
GROWTH = 0.02
"""The share by which resident memory may grow."""

MORE_DESCRIPTORS = 4
"""Descriptors that may be open at the end beyond those at the start, by chance."""

WRONG = (b"{", b'{"input": []}', b'{"input": "a", "model": "none"}', b'{"input": [[1, 2]]}')


def main() -> None:
    """Run the traffic, write the samples, and fail if memory or descriptors grow."""
    options = _arguments()
    record.use_cores(options.cores)
    report = record.describe_run()
    model = resolve("minilm")
    texts = make_workload("mixed", 80_000, model).texts
    environments = Path("build/servers")
    with contextlib.closing(Server(CONTENDERS[0], model, options.cores, environments)) as server:
        load, samples = asyncio.run(_run(server, texts, 60 * options.minutes))
    report |= {"statuses": dict(load.statuses), "samples": samples}
    memory, descriptors = (_tenths([s[key] for s in samples]) for key in ("bytes", "descriptors"))
    growth = memory[1] / memory[0] - 1
    report["growth"] = growth
    print(f"{load.statuses.total()} requests: {dict(load.statuses)}")
    print(f"resident {memory[0] / 2**20:.1f} MiB, then {memory[1] / 2**20:.1f} MiB: {growth:+.2%}")
    print(f"descriptors {descriptors[0]:.0f}, then {descriptors[1]:.0f}")
    record.write(report, options.output, "serve_soak")
    failed = [status for status in load.statuses if status.startswith("5") or status == "failed"]
    if growth >= GROWTH or descriptors[1] > descriptors[0] + MORE_DESCRIPTORS or failed:
        sys.exit("the claim does not hold")


async def _run(
    server: Server, texts: Sequence[str], seconds: float
) -> tuple[Load, list[dict[str, float]]]:
    """The statuses of all requests, and samples of the server's process."""
    load, pool, samples = Load(0.0, seconds), ConnectionPool(server.port), []
    started = time.perf_counter()

    async def client(number: int) -> None:
        for path, body in _requests(texts, random.Random(number)):  # noqa: S311
            now = time.perf_counter()
            if now > started + seconds:
                return
            if path:
                await pool.send(body, now, load, path=path)
                load.latencies.clear()  # this program watches memory, and has some itself
            else:
                await pool.abandon(body, 0.005)

    async def watch() -> None:
        while (at := time.perf_counter() - started) < seconds:
            resident, descriptors = server.memory(), server.descriptors()
            samples.append({"s": at, "bytes": resident, "descriptors": descriptors})
            await asyncio.sleep(seconds / 200)

    await asyncio.gather(watch(), *map(client, range(CLIENTS)))
    pool.close()
    return load, samples


def _requests(texts: Sequence[str], draw: random.Random) -> Iterator[tuple[str, bytes]]:
    """Paths and bodies, endless; without a path, the client leaves before the reply."""
    while True:
        some = draw.sample(list(texts), draw.choice([2, 8, 32]))
        kinds: list[tuple[str, Any]] = [
            ("/v1/embeddings", {"input": some[0], "encoding_format": "base64"}),
            ("/v1/embeddings", {"input": some, "on_overflow": draw.choice(["truncate", "window"])}),
            ("/embed_all", {"inputs": some[:2]}),
            ("/similarity", {"inputs": {"source_sentence": some[0], "sentences": some[1:]}}),
            ("/tokenize", {"inputs": some}),
            ("/v1/embeddings", draw.choice(WRONG)),
            ("", {"input": some}),
        ]
        path, body = draw.choice(kinds)
        yield path, body if isinstance(body, bytes) else json.dumps(body).encode()


def _tenths(values: Sequence[float]) -> tuple[float, float]:
    """The medians of the second and of the last tenth."""
    size = max(1, len(values) // 10)
    return median(values[size : 2 * size]), median(values[-size:])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="of traffic (20)")
    parser.add_argument("--cores", type=int, default=2, help="cores and threads (2)")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()

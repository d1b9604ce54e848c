"""One peer in a process of its own.

Libraries bring thread pools and OpenMP runtimes that do not go well together; apart, each has the
machine to itself while it is its turn, and the others wait for a message without computing.
"""

import importlib
import multiprocessing
import os
import time
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from corpus import Workload, tokenizer
from peers import PEERS
from peers.peer import Peer, Setting

__all__ = ["PeerFailed", "Worker"]

_PAUSE = 0.25
"""Seconds before each measurement, in which the threads of others stop spinning: OpenMP's and ONNX
Runtime's look for work for up to 200 ms after they had some."""


class PeerFailed(Exception):
    """A peer could not do what was asked; the message has its traceback."""


class Worker:
    """A peer that waits for orders. To be closed."""

    def __init__(self, name: str, threads: int, workloads: Sequence[Workload], model: Path) -> None:
        os.environ |= {
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": str(threads),
            "RAYON_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": "true",
        }
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, name, threads, list(workloads), model), daemon=True
        )
        self._process.start()
        theirs.close()
        self.settings: tuple[Setting, ...] = self._receive()

    def seconds(self, workload: str, setting: Setting, *, share: int = 1) -> float:
        """What encoding the ids of a workload takes, or of each `share`-th of its texts."""
        time.sleep(_PAUSE)
        return float(self._call("seconds", workload, setting, share))

    def seconds_of_text(self, workload: str, setting: Setting) -> float:
        """What encoding a workload takes with tokenization."""
        time.sleep(_PAUSE)
        return float(self._call("seconds_of_text", workload, setting))

    def latencies(self, length: int, calls: int) -> list[float]:
        """Seconds of each call that encodes one sequence of `length` ids."""
        time.sleep(_PAUSE)
        found: list[float] = self._call("latencies", length, calls)
        return found

    def vectors(self, workload: str, setting: Setting) -> np.ndarray:
        """Unit vectors of a workload, (n, D)."""
        found: np.ndarray = self._call("vectors", workload, setting)
        return found

    def close(self) -> None:
        """End the process."""
        self._ours.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.terminate()

    def _call(self, *order: Any) -> Any:
        self._ours.send(order)
        return self._receive()

    def _receive(self) -> Any:
        try:
            failure, answer = self._ours.recv()
        except EOFError:
            raise PeerFailed(f"{self.name}: its process ended by itself") from None
        if failure:
            raise PeerFailed(f"{self.name}: {failure}")
        return answer


class _Orders:
    """What a worker can be told to do: its methods."""

    def __init__(self, peer: Peer, workloads: Sequence[Workload], model: Path) -> None:
        self._peer = peer
        self._texts = {w.name: w.texts for w in workloads}
        self._tokenizers = {w.name: tokenizer(model, w.max_length) for w in workloads}
        self._ids = {w.name: self._read(w.name) for w in workloads}

    def seconds(self, workload: str, setting: Setting, share: int) -> float:
        ids = self._ids[workload][::share]
        start = time.perf_counter()
        self._peer.encode_ids(ids, setting)
        return time.perf_counter() - start

    def seconds_of_text(self, workload: str, setting: Setting) -> float:
        start = time.perf_counter()
        self._peer.encode_ids(self._read(workload), setting)
        return time.perf_counter() - start

    def latencies(self, length: int, calls: int) -> list[float]:
        ids = [np.random.default_rng(0).integers(1000, 2000, length)]
        setting = self._peer.settings[0]
        times = []
        for _ in range(calls):
            start = time.perf_counter()
            self._peer.encode_ids(ids, setting)
            times.append(time.perf_counter() - start)
        return times

    def vectors(self, workload: str, setting: Setting) -> np.ndarray:
        return self._peer.encode_ids(self._ids[workload], setting)

    def _read(self, workload: str) -> list[np.ndarray]:
        encodings = self._tokenizers[workload].encode_batch_fast(self._texts[workload])
        return [np.array(encoding.ids, np.int64) for encoding in encodings]


def _serve(
    connection: Connection, name: str, threads: int, workloads: list[Workload], model: Path
) -> None:
    try:
        listing = PEERS[name]
        module, _, function = listing.opener.partition(":")
        opener = getattr(importlib.import_module(f"peers.{module}"), function)
        peer: Peer = opener(listing.precision, threads)
        orders = _Orders(peer, workloads, model)
        connection.send((None, peer.settings))
        while True:
            order, *details = connection.recv()
            connection.send((None, getattr(orders, order)(*details)))
    except EOFError:
        return  # closed from the other end
    except Exception:  # whatever it is, the one who asked must hear of it
        connection.send((traceback.format_exc(), None))

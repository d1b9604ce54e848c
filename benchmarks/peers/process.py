"""A peer in its own process.

The thread pools and OpenMP runtimes of different libraries interfere within a process. In separate
processes, one peer computes while the others wait for a message.
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
from peers.peer import Peer, Setting, TextPeer

__all__ = ["PeerFailed", "Worker"]

_PAUSE = 0.25
"""Seconds to wait before a measurement, until the threads of other peers stop spinning: OpenMP and
ONNX Runtime threads spin for up to 200 ms after their last work."""


class PeerFailed(Exception):
    """A peer failed; the message has its traceback."""


class Worker:
    """A peer in a process that waits for calls; call `close` at the end."""

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

    def seconds(self, workload: str, setting: Setting, *, stride: int = 1) -> float:
        """Seconds to encode the ids of every `stride`-th text of a workload."""
        time.sleep(_PAUSE)
        return float(self._call("seconds", workload, setting, stride))

    def seconds_from_text(self, workload: str, setting: Setting) -> float:
        """Seconds to tokenize and encode a workload."""
        time.sleep(_PAUSE)
        return float(self._call("seconds_from_text", workload, setting))

    def latencies(self, length: int, calls: int) -> list[float]:
        """Seconds of each call that encodes one sequence of `length` ids."""
        time.sleep(_PAUSE)
        seconds: list[float] = self._call("latencies", length, calls)
        return seconds

    def vectors(self, workload: str, setting: Setting) -> np.ndarray:
        """Unit vectors of the texts of a workload, (n, D)."""
        vectors: np.ndarray = self._call("vectors", workload, setting)
        return vectors

    def close(self) -> None:
        """End the process."""
        self._ours.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.terminate()

    def _call(self, *request: Any) -> Any:
        self._ours.send(request)
        return self._receive()

    def _receive(self) -> Any:
        try:
            failure, answer = self._ours.recv()
        except EOFError:
            raise PeerFailed(f"{self.name}: its process ended unexpectedly") from None
        if failure:
            raise PeerFailed(f"{self.name}: {failure}")
        return answer


class _Server:
    """Runs a peer; its methods are the requests that a worker can send."""

    def __init__(self, peer: Peer, workloads: Sequence[Workload], model: Path) -> None:
        self._peer = peer
        self._workloads = {w.name: w for w in workloads}
        self._tokenizers = {w.name: tokenizer(model, w.max_length) for w in workloads}
        self._ids = {w.name: self._read(w.name) for w in workloads}

    def seconds(self, workload: str, setting: Setting, stride: int) -> float:
        ids = self._ids[workload][::stride]
        start = time.perf_counter()
        self._peer.encode_ids(ids, setting)
        return time.perf_counter() - start

    def seconds_from_text(self, workload: str, setting: Setting) -> float:
        start = time.perf_counter()
        self.vectors(workload, setting)
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
        if isinstance(self._peer, TextPeer):
            texts = self._workloads[workload]
            return self._peer.encode_texts(texts.texts, texts.max_length, setting)
        return self._peer.encode_ids(self._read(workload), setting)

    def _read(self, workload: str) -> list[np.ndarray]:
        encodings = self._tokenizers[workload].encode_batch_fast(self._workloads[workload].texts)
        return [np.array(encoding.ids, np.int64) for encoding in encodings]


def _serve(
    connection: Connection, name: str, threads: int, workloads: list[Workload], model: Path
) -> None:
    try:
        listing = PEERS[name]
        module, _, function = listing.opener.partition(":")
        opener = getattr(importlib.import_module(f"peers.{module}"), function)
        peer: Peer = opener(listing.precision, threads)
        server = _Server(peer, workloads, model)
        connection.send((None, peer.settings))
        while True:
            method, *arguments = connection.recv()
            connection.send((None, getattr(server, method)(*arguments)))
    except EOFError:
        return  # the worker closed the connection
    except Exception:  # reported to the worker, which raises it
        connection.send((traceback.format_exc(), None))

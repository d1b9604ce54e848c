"""The state of a server: its models, the threads that compute, and whether it is ready."""

import asyncio
import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from prometheus_client import Metric

import bothways
from bothways.io.cpus import available_cpus
from bothways.server.admission import Admission
from bothways.server.compute import BatchReport, Computer
from bothways.server.engine import Engine, Work
from bothways.server.metrics import ServerMetrics, counter, gauge
from bothways.server.models import Loader, ModelTable, load_models
from bothways.server.security import Guard
from bothways.server.settings import ServerSettings

__all__ = ["Runtime", "State"]

State = Literal["new", "loading", "ready", "draining", "failed"]

_STOP_S = 2.0
"""Seconds that a thread has to finish its batch when the server stops."""

_log = logging.getLogger("bothways.server")


class Runtime:
    """What the requests of a server share.

    keys: SHA-256 of the key of each client. load: how a model is loaded. on_failure: called in the
    event loop if the models cannot be loaded. on_death: called in a thread that computed and has
    ended by an error.
    """

    def __init__(
        self,
        settings: ServerSettings,
        keys: Mapping[str, bytes],
        *,
        load: Loader = Engine.load,
        on_failure: Callable[[Exception], None] = lambda error: None,
        on_ready: Callable[[], None] = lambda: None,
        on_death: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.guard = Guard(settings.server, keys)
        self.admission = Admission(settings.limits)
        self.metrics = ServerMetrics()
        self.metrics.collect(self._gauges)
        self.models = ModelTable()
        self.state: State = "new"
        self.error: Exception | None = None
        workers = 2 if available_cpus() >= 8 else 1
        self.readers = ThreadPoolExecutor(workers, "bothways-tokenize")
        """Reads inputs."""
        self.slow_readers = ThreadPoolExecutor(1, "bothways-tokenize-slow")
        """Reads very long inputs, so that short ones need not wait for them."""
        self.writers = ThreadPoolExecutor(1, "bothways-write")
        """Writes large replies."""
        self._load = load
        self.on_death = on_death
        self._on_failure, self._on_ready = on_failure, on_ready
        self._computers: dict[str, Computer[Work]] = {}
        self._loaded: asyncio.Event | None = None
        self._requests_wait = False
        self._reloading = False
        # At the exit of a process that has not stopped its server, as where that is mounted.
        weakref.finalize(self, _stop, self._computers)

    def start(self) -> None:
        """Load the models in a thread; in the event loop."""
        if self.state == "new":
            self.state = "loading"
            self._loaded = asyncio.Event()
            self._in_thread(self.settings, self._finish_start)

    async def wait_if_not_served(self) -> None:
        """Load the models at the first request, and let requests wait for them, if nothing has
        started the application, as where it is mounted in another one.
        """
        if self.state == "new":
            self.start()
            self._requests_wait = True
        if self._requests_wait and self._loaded is not None:
            await self._loaded.wait()

    @property
    def is_ready(self) -> bool:
        """Whether requests can be computed, and more of them are welcome."""
        return self.state == "ready" and self.is_computing

    @property
    def is_computing(self) -> bool:
        """Whether every thread that computes is alive."""
        return all(computer.is_alive for computer in self._computers.values())

    def computer(self, engine: Engine) -> Computer[Work]:
        """The thread of the engine's device, which is started when it is first used."""
        if engine.device not in self._computers:
            batching = self.settings.batching
            computer = Computer[Work](
                lambda work, fitted: work.engine.compute(work.operation, fitted),
                lambda work: work.engine.budget,
                coalesce=batching.coalesce,
                linger_s=batching.linger_ms / 1000,
                on_batch=self._record_batch,
                on_death=lambda: self.on_death(),
            )
            computer.start()
            self._computers[engine.device] = computer
        return self._computers[engine.device]

    def rate(self, engine: Engine) -> float:
        """Tokens per second that the engine's device computes."""
        return self.computer(engine).tokens_per_second() or engine.tokens_per_second

    def drain(self) -> None:
        """Be no longer ready, and go on computing."""
        if self.state != "failed":
            self.state = "draining"

    def stop(self) -> None:
        """End the threads."""
        self.drain()
        _stop(self._computers)
        for executor in (self.readers, self.slow_readers, self.writers):
            executor.shutdown(wait=False, cancel_futures=True)

    def reload(self, settings: ServerSettings, keys: Mapping[str, bytes]) -> None:
        """Take over keys and limits at once, and models when they are loaded; in the event loop.

        If a model cannot be loaded, the models stay as they are, and the error is logged.
        """
        if self.state != "ready" or self._reloading:
            _log.error("reload: refused, since the server is %s", self._activity)
            return
        self._reloading = True
        self.guard = Guard(settings.server, keys)
        self.admission.limits = settings.limits

        def finish(models: ModelTable | None, error: Exception | None) -> None:
            self._reloading = False
            if models is None:
                _log.error("reload: the models stay as they are: %s", str(error))
                return
            self.settings, self.models = settings, models
            _log.info("reloaded: %s", ", ".join(models))

        self._in_thread(settings, finish)

    @property
    def _activity(self) -> str:
        return "reloading" if self._reloading else self.state

    def _in_thread(
        self,
        settings: ServerSettings,
        finish: Callable[[ModelTable | None, Exception | None], None],
    ) -> None:
        """Load models in a thread that does not keep the process, then call `finish`."""
        loop = asyncio.get_running_loop()
        previous = dict(self.models)

        def run() -> None:
            models, error = None, None
            try:
                models = load_models(settings, previous, self._load)
            except Exception as caught:
                error = caught
            with contextlib.suppress(RuntimeError):  # the loop was closed, and with it the server
                loop.call_soon_threadsafe(finish, models, error)

        threading.Thread(target=run, name="bothways-load", daemon=True).start()

    def _finish_start(self, models: ModelTable | None, error: Exception | None) -> None:
        if models is None:
            self.error = error
            self.state = "failed"
            if error is not None:
                self._on_failure(error)
        else:
            self.models = models
            for served in models.values():
                self.computer(served.engine)
            if self.state == "loading":
                self.state = "ready"
                self._on_ready()
        if self._loaded is not None:
            self._loaded.set()

    def _record_batch(self, report: BatchReport) -> None:
        model = self._name_of(report.kind.engine)
        self.metrics.batch_inputs.labels(model).observe(report.inputs)
        self.metrics.batch_tokens.labels(model).observe(report.tokens)
        self.metrics.batch_seconds.labels(model).observe(report.seconds)

    def _name_of(self, engine: Engine) -> str:
        """The first served name of an engine; "" for one that was replaced."""
        return next((name for name, s in self.models.items() if s.engine is engine), "")

    def _gauges(self) -> Iterator[Metric]:
        """Metrics that are computed when they are read."""
        waiting: dict[str, list[tuple[int, float]]] = {}
        for served in self.models.values():
            waiting[self._name_of(served.engine)] = []
        for computer in self._computers.values():
            for ticket in computer.waiting():
                tokens = sum(job.tokens for job in ticket.jobs if not job.taken)
                age = time.monotonic() - ticket.submitted
                waiting.setdefault(self._name_of(ticket.kind.engine), []).append((tokens, age))
        model = ("model",)
        yield gauge(
            "bothways_queue_tokens", "Tokens that wait.", model,
            [((name,), sum(tokens for tokens, _ in rows)) for name, rows in waiting.items()],
        )  # fmt: skip
        yield gauge(
            "bothways_queue_requests", "Requests that wait.", model,
            [((name,), len(rows)) for name, rows in waiting.items()],
        )  # fmt: skip
        oldest = {name: max((age for _, age in rows), default=0) for name, rows in waiting.items()}
        yield gauge(
            "bothways_queue_oldest_seconds", "Age of the oldest request that waits.", model,
            [((name,), age) for name, age in oldest.items()],
        )  # fmt: skip
        yield gauge(
            "bothways_busy_ratio", "Share of the last minute that was computed.", ("device",),
            [((device,), computer.busy_ratio()) for device, computer in self._computers.items()],
        )  # fmt: skip
        yield counter(
            "bothways_coalesced", "Inputs with the result of an equal one.", ("device",),
            [((device,), computer.coalesced) for device, computer in self._computers.items()],
        )  # fmt: skip
        yield gauge(
            "bothways_tokens_per_second", "Speed while computing.", model,
            [((name,), self.rate(self.models[name].engine)) for name in waiting if name],
        )  # fmt: skip
        yield gauge(
            "bothways_model_info", "The models that are served.",
            ("model", "fingerprint", "precision", "backend", "isa", "version"),
            [((name, *_facts(s.engine)), 1) for name, s in self.models.items()],
        )  # fmt: skip
        yield gauge("bothways_ready", "Whether the server is ready.", (), [((), self.is_ready)])


def _stop(computers: Mapping[str, Computer[Work]]) -> None:
    for computer in computers.values():
        computer.stop()
    for computer in computers.values():
        computer.join(_STOP_S)


def _facts(engine: Engine) -> tuple[str, str, str, str, str]:
    backend = engine.encoder.backend
    isa = str(getattr(backend, "isa", ""))
    return engine.fingerprint, backend.precision, backend.name, isa, bothways.__version__

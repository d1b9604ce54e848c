"""A server in the process of a test: its application, and a client that needs no socket."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from bothways.encoder import load
from bothways.sequences import FittedSequence
from bothways.server.app import Application
from bothways.server.engine import Engine, Operation
from bothways.server.models import Loader
from bothways.server.runtime import Runtime
from bothways.server.settings import (
    BatchingSettings,
    Limits,
    ModelSettings,
    NetworkSettings,
    ServerSettings,
)

__all__ = ["GatedEngine", "application", "load_gated", "run", "settings_of"]

Body = Callable[[httpx.AsyncClient], Awaitable[None]]


def settings_of(
    models: Mapping[str, Path | ModelSettings],
    *,
    server: NetworkSettings | None = None,
    limits: Limits | None = None,
    batching: BatchingSettings | None = None,
) -> ServerSettings:
    """Settings for models in folders, which are not warmed up."""
    served = {
        name: model
        if isinstance(model, ModelSettings)
        else ModelSettings(source=str(model), threads=1, warm_up=False)
        for name, model in models.items()
    }
    return ServerSettings(
        models=served,
        server=server or NetworkSettings(),
        limits=limits or Limits(),
        batching=batching or BatchingSettings(max_batch_tokens=64),
    )


def application(
    settings: ServerSettings,
    *,
    keys: Mapping[str, bytes] | None = None,
    load_model: Loader = Engine.load,
) -> Application:
    """The application of a server."""
    return Application(Runtime(settings, keys or {}, load=load_model))


def run(app: Application, body: Body, *, headers: Mapping[str, str] | None = None) -> None:
    """Run a test with a client of an application, and check that no task is left."""

    async def main() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers=headers, timeout=20
        ) as client:
            await body(client)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    try:
        asyncio.run(main())
    finally:
        app.runtime.stop()


class GatedEngine(Engine):
    """An engine whose batches wait until the test lets them pass.

    batches: the number of inputs of each batch that was started. passed: batches that were let
    pass.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.gate = threading.Semaphore(0)
        self.batches: list[int] = []
        self.passed = 0

    def compute(self, operation: Operation, fitted: Sequence[FittedSequence]) -> Sequence[Any]:
        """As an engine, when the gate is open."""
        self.batches.append(len(fitted))
        assert self.gate.acquire(timeout=20)
        self.passed += 1
        return super().compute(operation, fitted)

    def open(self, batches: int = 1_000_000) -> None:
        """Let some batches pass."""
        self.gate.release(batches)


def load_gated(settings: ModelSettings, batching: BatchingSettings) -> GatedEngine:
    """A model whose batches wait."""
    return GatedEngine(load(settings.source, threads=1), batching)

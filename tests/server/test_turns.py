"""Requests at the same time: turns, back-pressure, clients that leave, deadlines, failures."""

import asyncio
import contextlib
import dataclasses
import gc
import json
import logging
import re
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.support.serving import GatedEngine, application, load_gated, run, settings_of

from bothways import Encoder
from bothways.encoder import load
from bothways.sequences import FittedSequence
from bothways.server.app import Application
from bothways.server.engine import Engine, Operation
from bothways.server.settings import BatchingSettings, Limits, ModelSettings

URL = "/v1/embeddings"


def gated(folder: Path, limits: Limits | None = None, **batching: Any) -> Application:
    tables = BatchingSettings(**{"max_batch_tokens": 48, "coalesce": False, **batching})
    return application(
        settings_of({"tiny": folder}, limits=limits, batching=tables), load_model=load_gated
    )


async def engine_of(app: Application) -> GatedEngine:
    await app.runtime.wait_if_not_served()
    engine = app.runtime.models["tiny"].engine
    assert isinstance(engine, GatedEngine)
    return engine


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def test_a_query_beside_a_long_list_waits_for_one_batch_and_is_in_the_next(
    tiny_folder: Path,
) -> None:
    app = gated(tiny_folder)

    async def body(client: httpx.AsyncClient) -> None:
        engine = await engine_of(app)
        texts = ["a river bank loan walking shores"] * 500
        long = asyncio.create_task(client.post(URL, json={"input": texts}))
        await until(lambda: engine.batches)
        for _ in range(3):
            await until(lambda: len(engine.batches) > engine.passed)  # one is at the gate
            started = len(engine.batches)
            short = asyncio.create_task(client.post(URL, json={"input": "bank"}))
            waiting = app.runtime.computer(engine).waiting
            await until(lambda: len(waiting()) == 2)  # noqa: B023
            engine.open(2)
            assert (await short).status_code == 200
            assert len(engine.batches) <= started + 2
        engine.open()
        assert len((await long).json()["data"]) == 500

    run(app, body)


def test_beyond_the_queue_one_input_and_a_list_are_refused_alike(tiny_folder: Path) -> None:
    app = gated(tiny_folder, Limits(max_queue_s=0.01))

    async def body(client: httpx.AsyncClient) -> None:
        engine = await engine_of(app)
        engine.tokens_per_second = 4000  # 40 tokens may wait
        alone = asyncio.create_task(client.post(URL, json={"input": ["bank loan"] * 100}))
        await until(lambda: engine.batches)  # nothing waited: any number is let in
        for refused in (["bank"], ["bank"] * 50):
            response = await client.post(URL, json={"input": refused})
            assert response.status_code == 429
            assert response.json()["error"]["code"] == "queue_full"
            assert response.json()["error"]["type"] == "rate_limit_error"
            assert int(response.headers["retry-after"]) >= 1
            assert 50 <= int(response.headers["retry-after-ms"]) <= 60_000
        engine.open()
        assert (await alone).status_code == 200
        assert (await client.post(URL, json={"input": "bank"})).status_code == 200
        text = (await client.get("/metrics")).text
        assert 'bothways_rejected_total{reason="queue_full"} 2.0' in text

    run(app, body)


def test_requests_beyond_the_limit_are_refused_and_health_answers(tiny_folder: Path) -> None:
    app = gated(tiny_folder, Limits(max_requests=2))

    async def body(client: httpx.AsyncClient) -> None:
        engine = await engine_of(app)
        tasks = [asyncio.create_task(client.post(URL, json={"input": "a"})) for _ in range(2)]
        await until(lambda: app.runtime.admission.requests == 2)
        refused = await client.post(URL, json={"input": "a"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_requests")
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/ready")).status_code == 200
        engine.open()
        assert [(await task).status_code for task in tasks] == [200, 200]

    run(app, body)


def test_a_request_is_dropped_at_its_deadline(tiny_folder: Path) -> None:
    app = gated(tiny_folder)

    async def body(client: httpx.AsyncClient) -> None:
        engine = await engine_of(app)
        first = asyncio.create_task(client.post(URL, json={"input": "a"}))
        await until(lambda: engine.batches)
        headers = {"X-Request-Timeout": "0.05"}
        late = await client.post(URL, json={"input": ["b", "c"]}, headers=headers)
        assert (late.status_code, late.json()["error"]["code"]) == (504, "deadline_exceeded")
        assert late.headers["x-should-retry"] == "false"
        engine.open()
        assert (await first).status_code == 200
        assert engine.batches == [1]
        for wrong in ("soon", "0", "-1", "nan"):
            headers = {"X-Request-Timeout": wrong}
            refused = await client.post(URL, json={"input": "a"}, headers=headers)
            assert refused.status_code == 400

    run(app, body)


def test_the_work_of_clients_that_leave_is_dropped(tiny_folder: Path) -> None:
    app = gated(tiny_folder, Limits(max_requests=500))

    async def vanish(leave: asyncio.Event) -> None:
        """A request whose client reads no reply and closes the connection."""
        messages = iter([{"type": "http.request", "body": json.dumps({"input": "a"}).encode()}])

        async def receive() -> Any:
            with contextlib.suppress(StopIteration):
                return next(messages)
            await leave.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            raise AssertionError(f"nobody reads {message}")

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": URL, "headers": headers}
        await app(scope, receive, send)

    async def body(client: httpx.AsyncClient) -> None:
        engine = await engine_of(app)
        leave = asyncio.Event()
        first = asyncio.create_task(client.post(URL, json={"input": "b"}))
        await until(lambda: engine.batches)
        gone = [asyncio.create_task(vanish(leave)) for _ in range(300)]
        computer = app.runtime.computer(engine)
        await until(lambda: len(computer.waiting()) == 300)
        leave.set()
        await asyncio.gather(*gone)
        assert not computer.waiting()
        assert computer.queued_tokens == 0
        engine.open()
        assert (await first).status_code == 200
        assert engine.batches == [1]
        text = (await client.get("/metrics")).text
        assert 'bothways_dropped_total{reason="disconnect"} 300.0' in text
        assert 'status="499"' in text

    run(app, body)


class _FailsForLoans(Engine):
    """An engine that raises for one of its inputs."""

    def compute(self, operation: Operation, fitted: Sequence[FittedSequence]) -> Sequence[Any]:
        loan = 7
        if any(loan in f.windows[0] for f in fitted):
            raise RuntimeError(f"a secret of {self.encoder.path}")
        return super().compute(operation, fitted)


def test_an_input_for_which_the_engine_fails_fails_alone(
    tiny_folder: Path, tiny: Encoder, caplog: pytest.LogCaptureFixture
) -> None:
    def load_failing(settings: ModelSettings, batching: BatchingSettings) -> Engine:
        return _FailsForLoans(load(settings.source, threads=1), batching)

    app = application(settings_of({"tiny": tiny_folder}), load_model=load_failing)

    async def body(client: httpx.AsyncClient) -> None:
        texts = [["bank"], ["a river", "shore"], ["a", "the loan"], ["the walk"]]
        replies = await asyncio.gather(*(client.post(URL, json={"input": t}) for t in texts))
        assert [reply.status_code for reply in replies] == [200, 200, 500, 200]
        for reply, inputs in zip(replies, texts, strict=True):
            if reply.status_code == 200:
                vectors = [row["embedding"] for row in reply.json()["data"]]
                assert (np.array(vectors, np.float32) == tiny.encode(inputs)).all()
        error = replies[2].json()["error"]
        assert error["param"] == "input[1]"
        assert replies[2].headers["x-request-id"] in error["message"]
        assert "secret" not in replies[2].text

    with caplog.at_level(logging.CRITICAL):
        run(app, body)


def test_a_dead_compute_thread_is_reported_and_nothing_looks_healthy(
    tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Dying(Engine):
        def compute(self, operation: Operation, fitted: Sequence[FittedSequence]) -> Sequence[Any]:
            raise SystemExit

    def load_dying(settings: ModelSettings, batching: BatchingSettings) -> Engine:
        return Dying(load(settings.source, threads=1), batching)

    app = application(settings_of({"tiny": tiny_folder}), load_model=load_dying)
    deaths: list[int] = []
    app.runtime.on_death = lambda: deaths.append(1)

    async def body(client: httpx.AsyncClient) -> None:
        assert (await client.get("/ready")).status_code == 200
        failed = await client.post(URL, json={"input": ["a", "b"]})
        assert (failed.status_code, failed.json()["error"]["code"]) == (500, "internal_error")
        assert len(deaths) == 1
        ready = await client.get("/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "failed"})
        refused = await client.post(URL, json={"input": "a"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")

    with caplog.at_level(logging.CRITICAL + 1):
        run(app, body)


def test_equal_inputs_of_several_clients_are_computed_once(tiny_folder: Path) -> None:
    app = gated(tiny_folder, coalesce=True)

    async def body(client: httpx.AsyncClient) -> None:
        engine = await engine_of(app)
        request = {"input": ["bank", "loan", "bank"]}
        tasks = [asyncio.create_task(client.post(URL, json=request)) for _ in range(20)]
        await until(lambda: len(app.runtime.computer(engine).waiting()) >= 1 or engine.batches)
        await until(lambda: app.runtime.computer(engine).coalesced == 20 * 3 - 2)
        engine.open()
        rows = [(await task).json()["data"] for task in tasks]
        assert all(row == rows[0] for row in rows)
        assert sum(engine.batches) == 2
        text = (await client.get("/metrics")).text
        assert re.search(r'bothways_coalesced_total\{device="cpu"\} 58.0', text)

    run(app, body)


def test_a_reload_swaps_models_and_frees_the_old_one(
    tiny_folder: Path, ranker_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(settings_of({"m": tiny_folder, "same": ranker_folder}))

    async def body(client: httpx.AsyncClient) -> None:
        runtime = app.runtime
        assert (await client.post(URL, json={"input": "a", "model": "m"})).status_code == 200
        old, same = weakref.ref(runtime.models["m"].engine), runtime.models["same"].engine
        broken = settings_of({"m": tmp_path, "same": ranker_folder})
        runtime.reload(broken, {})
        await until(lambda: "the models stay as they are" in caplog.text)
        assert runtime.models["m"].engine is old()
        runtime.reload(settings_of({"m": ranker_folder, "same": ranker_folder}), {"a": b""})
        await until(lambda: runtime.models["m"].engine is not old())
        assert runtime.models["same"].engine is same
        assert (await client.post(URL, json={"input": "a"})).status_code == 401
        gc.collect()
        await until(lambda: old() is None)

    with caplog.at_level(logging.INFO, "bothways.server"):
        run(app, body)


def test_a_long_input_in_windows_gives_way_to_others(tiny_folder: Path, tiny: Encoder) -> None:
    app = gated(tiny_folder)
    text = "a river bank loan walking shores " * 40

    async def body(client: httpx.AsyncClient) -> None:
        engine = await engine_of(app)
        request = {"input": [text, "bank", text], "on_overflow": "window"}
        long = asyncio.create_task(client.post(URL, json=request))
        await until(lambda: engine.batches)
        engine.open(2)  # the short input, then some of the windows
        await until(lambda: len(engine.batches) > 2)
        short = asyncio.create_task(client.post(URL, json={"input": "loan"}))
        await until(lambda: len(app.runtime.computer(engine).waiting()) == 2)
        engine.open(3)  # the one that runs, one of windows, and one of another kind
        assert (await short).status_code == 200
        assert not long.done()
        engine.open()
        rows = [row["embedding"] for row in (await long).json()["data"]]
        expected = tiny.encode([text, "bank", text], on_overflow="window")
        assert (np.array(rows, np.float32) == expected).all()
        request = {"inputs": [text], "model": "tiny"}
        app.runtime.models["tiny"] = dataclasses.replace(
            app.runtime.models["tiny"],
            settings=ModelSettings(source=str(tiny_folder), on_overflow="window"),
        )
        states = (await client.post("/embed_all", json=request)).json()
        (tokens,) = tiny.contextualize([text], on_overflow="window")
        assert (np.array(states[0], np.float32) == tokens.vectors).all()

    run(app, body)

"""The application as a whole: mounted, loaded late, its body limits, metrics and log lines."""

import asyncio
import json
import logging
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.support.serving import application, run, settings_of

from bothways import Encoder
from bothways.errors import CheckpointError
from bothways.server import create_app
from bothways.server.app import Application
from bothways.server.settings import Limits, NetworkSettings

URL = "/v1/embeddings"


def test_it_can_be_mounted_in_another_application(tiny_folder: Path, tiny: Encoder) -> None:
    app = create_app(settings_of({"tiny": tiny_folder}), keys={})
    outer = Starlette(routes=[Mount("/embeddings", app)])

    async def main() -> None:
        transport = httpx.ASGITransport(outer)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            # Nothing starts a mounted application; requests at the same time wait for its models.
            asked = [client.post(f"/embeddings{URL}", json={"input": "bank"}) for _ in range(3)]
            for reply in await asyncio.gather(*asked):
                row = reply.json()["data"][0]["embedding"]
                assert (np.array(row, np.float32) == tiny.encode("bank")).all()
            assert (await client.get("/embeddings/ready")).json() == {"status": "ready"}
            assert (await client.get("/embeddings/v1/models/tiny")).status_code == 200

    try:
        asyncio.run(main())
    finally:
        app.runtime.stop()


def test_the_environment_has_keys_for_a_mounted_application(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTHWAYS_SERVE_API_KEYS", "a:secret")
    app = create_app(settings_of({"tiny": tiny_folder}))

    async def body(client: httpx.AsyncClient) -> None:
        assert (await client.get("/v1/models")).status_code == 401

    run(app, body)


def test_a_model_that_cannot_be_loaded_is_reported(tmp_path: Path) -> None:
    app = application(settings_of({"none": tmp_path}))

    async def body(client: httpx.AsyncClient) -> None:
        reply = await client.post(URL, json={"input": "a"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "not_ready")
        assert (await client.get("/ready")).json() == {"status": "failed"}
        assert (await client.get("/health")).status_code == 200
        assert isinstance(app.runtime.error, CheckpointError)

    run(app, body)


async def send_slowly(app: Application, parts: list[bytes], pause_s: float) -> list[Any]:
    """What the application sends to a client that sends a part of its body now and then."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(pause_s)
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    await app({"type": "http", "method": "POST", "path": URL, "headers": headers}, receive, send)
    return sent


def test_a_slow_body_ends_at_its_time(tiny_folder: Path) -> None:
    app = application(settings_of({"tiny": tiny_folder}, limits=Limits(body_timeout_s=0.05)))

    async def body(client: httpx.AsyncClient) -> None:
        start, content = await send_slowly(app, [b" "] * 100, 0.005)
        assert start["status"] == 408
        assert (b"connection", b"close") in start["headers"]
        assert json.loads(content["body"])["error"]["code"] == "body_timeout"

    run(app, body)


NAMES = {
    "requests_total", "request_seconds", "inputs_total", "tokens_total", "truncated_total",
    "rejected_total", "dropped_total", "coalesced_total", "queue_tokens", "queue_requests",
    "queue_oldest_seconds", "batch_tokens", "batch_inputs", "batch_seconds", "busy_ratio",
    "tokens_per_second", "model_info", "ready",
}  # fmt: skip


def test_metrics_have_every_name_and_can_be_parsed(tiny_folder: Path) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        await client.post(URL, json={"input": ["a " * 30, "b"]})
        await client.post(URL, json={"input": []})
        text = (await client.get("/metrics")).text
        families = {family.name: family for family in text_string_to_metric_families(text)}
        expected = {f"bothways_{name.removesuffix('_total')}" for name in NAMES}
        assert expected <= set(families)
        if sys.platform == "linux":
            assert "process_resident_memory_bytes" in families
        parts = {
            sample.labels["part"]
            for sample in families["bothways_request_seconds"].samples
            if sample.labels["model"]
        }
        assert parts == {"read", "tokenize", "queue", "compute", "write", "total"}
        (ready,) = families["bothways_ready"].samples
        assert ready.value == 1
        tokens = [s.value for s in families["bothways_tokens"].samples if s.name.endswith("total")]
        assert tokens == [12 + 3]

    run(application(settings_of({"tiny": tiny_folder})), body)


DASHBOARDS = Path(__file__).parents[2] / "docs" / "serving"


@pytest.mark.parametrize("name", ["dashboard.json", "alerts.yml"])
def test_dashboards_use_metrics_that_exist(name: str) -> None:
    text = (DASHBOARDS / name).read_text(encoding="utf-8")
    used = {re.sub("_(bucket|sum|count)$", "", metric) for metric in METRIC.findall(text)}
    assert len(used) >= 4
    assert used <= NAMES
    if name.endswith("json"):
        assert json.loads(text)["title"] == "bothways serve"


METRIC = re.compile(r"bothways_(\w+)")


def test_metrics_on_an_address_of_their_own_leave_the_main_port(tiny_folder: Path) -> None:
    server = NetworkSettings(metrics_address="127.0.0.1:9108")

    async def body(client: httpx.AsyncClient) -> None:
        assert (await client.get("/metrics")).status_code == 404

    run(application(settings_of({"tiny": tiny_folder}, server=server)), body)


def test_a_log_line_describes_a_request_without_its_input(
    tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"

    async def body(client: httpx.AsyncClient) -> None:
        headers = {"X-Request-Id": "r1", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
        await client.post(URL, json={"input": "a secret river"}, headers=headers)
        await client.get("/health")

    with caplog.at_level(logging.INFO, "bothways.server"):
        run(application(settings_of({"tiny": tiny_folder})), body)
    (record,) = [r for r in caplog.records if r.name == "bothways.server.requests"]
    facts: dict[str, Any] = record.facts  # type: ignore[attr-defined]
    assert facts.pop("ms").keys() == {"read", "tokenize", "queue", "compute", "write", "total"}
    assert facts == {
        "id": "r1",
        "client": "127.0.0.1",
        "route": URL,
        "model": "tiny",
        "inputs": 1,
        "tokens": 5,
        "truncated": 0,
        "status": 200,
        "trace": trace,
    }


def test_importing_bothways_imports_nothing_of_the_extra() -> None:
    code = (
        "import sys, bothways, bothways.server, bothways.cli.serve\n"
        "extra = {'starlette', 'uvicorn', 'msgspec', 'prometheus_client'}\n"
        "sys.exit(', '.join(extra & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_large_replies_are_whole(tiny_folder: Path, tiny: Encoder) -> None:
    # They are written a part at a time, in a thread.
    texts = [f"bank {'loan ' * (n % 7)}" for n in range(2048)]
    expected = tiny.encode(texts)

    async def body(client: httpx.AsyncClient) -> None:
        reply = (await client.post(URL, json={"input": texts})).json()
        assert [row["index"] for row in reply["data"]] == list(range(2048))
        rows = np.array([row["embedding"] for row in reply["data"]], np.float32)
        assert (rows == expected).all()
        request = {"inputs": texts, "normalize": False}
        embedded = (await client.post("/embed", json=request)).json()
        assert (np.array(embedded, np.float32) == expected).all()

    run(application(settings_of({"tiny": tiny_folder})), body)


def test_a_large_body_is_refused_before_it_is_read(tiny_folder: Path) -> None:
    app = application(settings_of({"tiny": tiny_folder}))

    async def body(client: httpx.AsyncClient) -> None:
        started = time.monotonic()
        headers = {"Content-Type": "application/json", "Content-Length": str(33 << 20)}
        reply = await client.post(URL, content=b"{}", headers=headers)
        assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_large")
        assert time.monotonic() - started < 5

    run(app, body)

"""The process of a server: ready, drain, reload, its sockets and its end."""

import contextlib
import json
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.support.server_process import ServerProcess

from bothways import Encoder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture
def start() -> Iterator[Callable[..., ServerProcess]]:
    started: list[ServerProcess] = []

    def run(*arguments: object, code: str = "") -> ServerProcess:
        words = [str(argument) for argument in arguments]
        started.append(ServerProcess(*words, code=code))
        return started[-1]

    yield run
    for process in started:
        process.kill()


def test_a_reload_and_a_drain_lose_no_request(
    start: Callable[..., ServerProcess], tiny_folder: Path, ranker_folder: Path, tmp_path: Path,
    tiny: Encoder, ranker: Encoder,
) -> None:  # fmt: skip
    keys, config = tmp_path / "keys", tmp_path / "serve.toml"
    keys.write_text("a:old\n")
    keys.chmod(0o600)
    model = f'[server]\napi_keys_file = "{keys}"\n[models.m]\nsource = "{{}}"\n'
    config.write_text(model.format(tiny_folder))
    server = start("--config", config, "--port", 0, "--no-warm-up")
    server.find("ready: m")
    stop = threading.Event()
    seen: list[tuple[str, bytes]] = []
    failures: list[str] = []
    headers = {"Authorization": "Bearer old"}

    def ask() -> None:
        with httpx.Client(base_url=server.address, timeout=20) as client:
            while not stop.is_set():
                body = {"input": "a river bank"}
                reply = client.post("/v1/embeddings", json=body, headers=dict(headers))
                if reply.status_code != 200:
                    failures.append(reply.text)
                    continue
                row = np.array(reply.json()["data"][0]["embedding"], np.float32)
                seen.append((reply.headers["x-bothways-fingerprint"], row.tobytes()))

    def wait_for(count: int) -> None:
        deadline = time.monotonic() + 20
        target = len(seen) + count
        while len(seen) < target:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for thread in clients:
        thread.start()
    try:
        wait_for(10)
        config.write_text("[models.m]\nsource = 1\n")
        server.process.send_signal(signal.SIGHUP)
        server.find("reload: nothing has changed.*source=1")
        wait_for(10)
        keys.write_text("a:old\nb:new\n")
        config.write_text(model.format(ranker_folder))
        server.process.send_signal(signal.SIGHUP)
        server.find("reloaded: m")
        headers["Authorization"] = "Bearer new"
        wait_for(20)
    finally:
        stop.set()
        for thread in clients:
            thread.join()
    assert server.end() == 0
    assert not failures
    fingerprints = [fingerprint for fingerprint, _ in seen]
    assert set(fingerprints) == {tiny.fingerprint, ranker.fingerprint}
    expected = {e.fingerprint: e.encode("a river bank").tobytes() for e in (tiny, ranker)}
    assert all(row == expected[fingerprint] for fingerprint, row in seen)
    log = "".join(server.lines)
    assert "river" not in log
    assert "old" not in log.replace(str(config), "")


SLOW = """
import sys, time
from bothways.server.engine import Engine
compute = Engine.compute
def slow(self, operation, fitted):
    print("computing", file=sys.stderr, flush=True)
    time.sleep(0.5)
    return compute(self, operation, fitted)
Engine.compute = slow
"""


def test_a_drain_finishes_what_runs_on_a_private_socket(
    start: Callable[..., ServerProcess], tiny_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    options = ("--no-warm-up", "--drain-delay-s", 1, "--log-format", "json")
    server = start(tiny_folder, "--uds", path, *options, code=SLOW)
    server.find("ready")
    assert server.address == f"unix:{path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    replies: list[httpx.Response] = []

    def client() -> httpx.Client:
        transport = httpx.HTTPTransport(uds=str(path))
        return httpx.Client(transport=transport, base_url="http://localhost", timeout=20)

    def ask() -> None:
        with client() as http:
            replies.append(http.post("/v1/embeddings", json={"input": "a"}))

    thread = threading.Thread(target=ask)
    thread.start()
    server.find("computing")
    server.process.send_signal(signal.SIGTERM)
    server.find("draining")
    with client() as http:
        ready = http.get("/ready")
    assert (ready.status_code, ready.json()) == (503, {"status": "draining"})
    assert server.wait() == 0
    thread.join()
    assert [reply.status_code for reply in replies] == [200]
    assert not path.exists()
    rows = [json.loads(line) for line in server.lines if line.startswith("{")]
    (row,) = [row for row in rows if row.get("route") == "/v1/embeddings"]
    assert (row["status"], row["inputs"], row["model"], row["client"]) == (200, 1, "model", "local")


LOADS_FOREVER = """
import time
import bothways.server.runtime
bothways.server.runtime.load_models = lambda *arguments: time.sleep(60)
"""


def test_a_server_that_loads_is_not_ready_and_ends_at_once(
    start: Callable[..., ServerProcess], tiny_folder: Path
) -> None:
    server = start(tiny_folder, "--port", 0, code=LOADS_FOREVER)
    ready = httpx.get(f"{server.address}/ready")
    assert (ready.status_code, ready.json()) == (503, {"status": "loading"})
    assert httpx.get(f"{server.address}/health").status_code == 200
    reply = httpx.post(f"{server.address}/v1/embeddings", json={"input": "a"})
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
    assert server.end() == 0


def test_a_dead_compute_thread_ends_the_process(
    start: Callable[..., ServerProcess], tiny_folder: Path
) -> None:
    code = """
from bothways.server.engine import Engine
def die(self, operation, fitted):
    raise SystemExit
Engine.compute = die
"""
    server = start(tiny_folder, "--port", 0, "--no-warm-up", code=code)
    server.find("ready")
    started = time.monotonic()
    with contextlib.suppress(httpx.RemoteProtocolError, httpx.ReadError):
        httpx.post(f"{server.address}/v1/embeddings", json={"input": "a"}, timeout=20)
    assert server.wait() == 70
    assert time.monotonic() - started < 5
    assert "the compute thread has died" in "".join(server.lines)

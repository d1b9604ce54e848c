"""The page at /: served where it is switched on, and what a browser shows."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from tests.support.browser import needs_browser, run_browser
from tests.support.heads import LONG
from tests.support.server_process import ServerProcess
from tests.support.serving import application, run, settings_of

from bothways import Encoder
from bothways.server.settings import NetworkSettings

HOSTILE = '<img src=x onerror="document.title=1">'


def test_the_page_is_served_where_it_is_switched_on(tiny_folder: Path) -> None:
    server = NetworkSettings(page=True)
    app = application(settings_of({"tiny": tiny_folder}, server=server), keys={"a": b"digest"})

    async def body(client: httpx.AsyncClient) -> None:
        reply = await client.get("/")
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        assert "unsafe" not in policy
        assert "://" not in reply.text
        assert (await client.get("/", headers={"Host": "other.test"})).status_code == 200
        # The client of huggingface_hub uses the same path, and needs the key.
        assert (await client.post("/", json={"inputs": "a"})).status_code == 401

    run(app, body)


def test_there_is_no_page_by_default(tiny_folder: Path) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        assert (await client.get("/")).status_code == 405

    run(application(settings_of({"tiny": tiny_folder})), body)


def test_the_page_refuses_other_host_names_without_keys(tiny_folder: Path) -> None:
    app = application(settings_of({"tiny": tiny_folder}, server=NetworkSettings(page=True)))

    async def body(client: httpx.AsyncClient) -> None:
        assert (await client.get("/", headers={"Host": "evil.test"})).status_code == 421

    run(app, body)


@pytest.fixture(scope="module")
def server(tiny_folder: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(str(tiny_folder), "--port", "0", "--page", "--no-warm-up")
    try:
        process.find("ready: ")
        yield process
    finally:
        process.kill()


def show(server: ServerProcess, texts: list[str], folder: Path) -> str:
    """The page with the results for texts, as a browser has it in the end."""
    address = f"{server.address}/#{quote(chr(10).join(texts))}"
    dom = run_browser(address, folder, "--dump-dom", "--virtual-time-budget=10000")
    assert 'data-state="done"' in dom
    return dom.partition("<script ")[0]


@needs_browser
def test_the_page_shows_similarities_tokens_and_times(
    server: ServerProcess, tiny: Encoder, tmp_path: Path
) -> None:
    texts = ["a river bank", HOSTILE, LONG]
    dom = show(server, texts, tmp_path)
    vectors = tiny.encode_detailed(texts).vectors
    unit = vectors / (vectors**2).sum(axis=1, keepdims=True) ** 0.5
    cells = re.findall(r"<td[^>]*background-color[^>]*>(-?[\d.]+)</td>", dom)
    assert [float(cell) for cell in cells] == pytest.approx((unit @ unit.T).ravel(), abs=0.0051)
    assert "<img" not in dom
    assert "&lt;img src=x" in dom
    lengths = [int(length) for length in re.findall(r"(\d+) tokens, cut to 12", dom)]
    assert len(lengths) == 2
    assert dom.count('class="token cut"') == sum(lengths) - 2 * 12
    for part in ("read", "tokenize", "queue", "compute", "write"):
        assert f"<th>{part}</th>" in dom


@needs_browser
def test_the_page_shows_the_message_of_a_request_that_is_refused(
    server: ServerProcess, tmp_path: Path
) -> None:
    dom = show(server, ["bank"] * 31, tmp_path)
    assert "31 texts; this page compares 30 at most." in dom


@needs_browser
def test_the_page_asks_for_a_key_where_requests_need_one(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTHWAYS_SERVE_API_KEYS", "a:secret")
    process = ServerProcess(str(tiny_folder), "--port", "0", "--page", "--no-warm-up")
    try:
        process.find("ready: ")
        dom = show(process, ["bank"], tmp_path)
    finally:
        process.kill()
    assert '<label id="key-label">' in dom
    assert "this server needs a key" in dom

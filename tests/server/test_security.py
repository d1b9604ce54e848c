"""Keys, host names, types of bodies, and what a server refuses to start with."""

import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.serving import application, run, settings_of

from bothways.errors import ConfigError
from bothways.server.errors import ApiError
from bothways.server.lifecycle import check_socket
from bothways.server.security import Guard, check_exposure, read_keys
from bothways.server.settings import NetworkSettings

URL = "/v1/embeddings"
REQUEST = {"input": "a"}


def keys_of(tmp_path: Path, text: str, mode: int = 0o600) -> dict[str, bytes]:
    path = tmp_path / "keys"
    path.write_text(text)
    path.chmod(mode)
    return read_keys(NetworkSettings(api_keys_file=str(path)), {})


def test_a_request_needs_one_of_the_keys(tiny_folder: Path, tmp_path: Path) -> None:
    keys = keys_of(tmp_path, "# clients\nsearch:secret-1\n\nindex: secret-2 \n")
    app = application(settings_of({"tiny": tiny_folder}), keys=keys)

    async def body(client: httpx.AsyncClient) -> None:
        for sent, status in [
            ("Bearer secret-1", 200),
            ("bearer secret-2", 200),
            ("Bearer secret-3", 401),
            ("Bearer secret-", 401),
            ("Bearer search:secret-1", 401),
            ("Basic secret-1", 401),
            ("", 401),
            ("secret-1", 401),
        ]:
            headers = {"Authorization": sent}
            response = await client.post(URL, json=REQUEST, headers=headers)
            assert response.status_code == status, sent
            if status == 401:
                assert response.headers["www-authenticate"] == "Bearer"
                assert response.json()["error"]["type"] == "authentication_error"
        for path in ("/v1/models", "/metrics", "/nowhere", URL):
            assert (await client.get(path)).status_code == 401
        assert (await client.get("/health")).json() == {"status": "ok"}
        assert (await client.get("/ready")).json() == {"status": "ready"}

    run(app, body)


def test_every_key_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    # The time does not depend on which key matches, or on how far a wrong one does.
    compared: list[bytes] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append(a)
        return a == b

    monkeypatch.setattr("hmac.compare_digest", compare)
    keys = read_keys(NetworkSettings(), {"BOTHWAYS_SERVE_API_KEYS": "a:1,b:2\nc:3"})
    guard = Guard(NetworkSettings(), keys)
    assert guard.client("Bearer 1") == "a"
    assert len(compared) == 3
    with pytest.raises(ApiError):
        guard.client("Bearer 4")
    assert len(compared) == 6
    assert all(len(digest) == 32 for digest in compared)


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        ("a:b", 0o604, "chmod 600"),
        ("a", 0o600, "keys:1: expected name:key"),
        (":b", 0o600, "keys:1"),
        ("a:b\na:c", 0o600, "keys:2: the name 'a'"),
        ("# none\n", 0o600, "no keys"),
        ("", 0o600, "no keys"),
    ],
)
def test_a_file_of_keys_is_checked(tmp_path: Path, text: str, mode: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        keys_of(tmp_path, text, mode)


def test_a_missing_file_of_keys_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_keys(NetworkSettings(api_keys_file=str(tmp_path / "none")), {})


@pytest.mark.parametrize(
    ("fields", "keys", "is_open"),
    [
        ({}, {}, False),
        ({"host": "::1"}, {}, False),
        ({"host": "0.0.0.0"}, {}, True),  # noqa: S104
        ({"host": "example.org"}, {}, True),
        ({"host": "0.0.0.0"}, {"a": b""}, False),  # noqa: S104
        ({"host": "0.0.0.0", "allow_open": True}, {}, False),  # noqa: S104
        ({"host": "0.0.0.0", "uds": "x"}, {}, False),  # noqa: S104
    ],
)
def test_an_open_address_needs_keys(
    fields: dict[str, Any], keys: dict[str, bytes], is_open: bool
) -> None:
    settings = NetworkSettings(**fields)
    if not is_open:
        check_exposure(settings, keys)
        return
    with pytest.raises(ConfigError, match="api_keys_file"):
        check_exposure(settings, keys)


@pytest.mark.parametrize(("host", "is_open"), [("127.0.0.1", False), ("0.0.0.0", True)])  # noqa: S104
def test_the_address_in_use_needs_keys_whatever_the_settings_say(host: str, is_open: bool) -> None:
    # A socket may have been passed, and settings that are read again may have another host.
    settings = settings_of({"tiny": Path("model")})
    with socket.create_server((host, 0)) as sock:
        check_socket(sock, settings, {"a": b""})
        if not is_open:
            check_socket(sock, settings, {})
            return
        with pytest.raises(ConfigError, match="could use it without a key"):
            check_socket(sock, settings, {})


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8808", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:8808", 200),
        ("evil.test", 421),
        ("evil.test:8808", 421),
        ("127.0.0.1.evil.test", 421),
        ("", 421),
    ],
)
def test_a_server_on_loopback_answers_to_its_names_alone(
    tiny_folder: Path, host: str, status: int
) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        response = await client.get("/v1/models", headers={"Host": host})
        assert response.status_code == status

    run(application(settings_of({"tiny": tiny_folder})), body)


def test_host_names_can_be_added_and_keys_allow_any() -> None:
    Guard(NetworkSettings(allowed_hosts=("search.test",)), {}).check_host("search.test:80")
    with pytest.raises(ApiError):
        Guard(NetworkSettings(allowed_hosts=("search.test",)), {}).check_host("localhost")
    Guard(NetworkSettings(allowed_hosts=("*",)), {}).check_host("any.test")
    Guard(NetworkSettings(), {"a": b""}).check_host("any.test")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-Type": "text/plain"}, "unsupported_content_type"),
        ({"Content-Type": ""}, "unsupported_content_type"),
        (
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
            "unsupported_content_encoding",
        ),
    ],
)
def test_a_body_must_be_plain_json(tiny_folder: Path, headers: dict[str, str], code: str) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        response = await client.post(URL, content=b'{"input": "a"}', headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (415, code)

    run(application(settings_of({"tiny": tiny_folder})), body)


def test_web_pages_get_no_permission_unless_their_origin_is_named(tiny_folder: Path) -> None:
    preflight = {
        "Origin": "https://page.test",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }

    async def closed(client: httpx.AsyncClient) -> None:
        for response in (
            await client.options(URL, headers=preflight),
            await client.post(URL, json=REQUEST, headers={"Origin": "https://page.test"}),
        ):
            assert not [name for name in response.headers if name.startswith("access-control")]
        assert (await client.options(URL, headers=preflight)).status_code == 405

    run(application(settings_of({"tiny": tiny_folder})), closed)

    async def named(client: httpx.AsyncClient) -> None:
        response = await client.options(URL, headers=preflight)
        assert response.headers["access-control-allow-origin"] == "https://page.test"
        other = await client.options(URL, headers=preflight | {"Origin": "https://evil.test"})
        assert "access-control-allow-origin" not in other.headers

    server = NetworkSettings(cors_origins=("https://page.test",))
    run(application(settings_of({"tiny": tiny_folder}, server=server)), named)


def test_other_methods_and_paths_are_refused_with_a_body(tiny_folder: Path) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        response = await client.get(URL)
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
        assert response.json()["error"]["code"] == "method_not_allowed"
        unknown = await client.get("/v1/nothing")
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_path")
        assert (await client.head("/health")).status_code == 200
        metrics = (await client.get("/metrics")).text
        assert "nothing" not in metrics

    run(application(settings_of({"tiny": tiny_folder})), body)


def test_a_request_id_from_a_client_is_not_trusted(tiny_folder: Path) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        for sent in ("a b", "x" * 129, "a=b"):
            response = await client.get("/health", headers={"X-Request-Id": sent})
            assert response.headers["x-request-id"] != sent

    run(application(settings_of({"tiny": tiny_folder})), body)

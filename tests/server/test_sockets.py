"""Listening sockets: addresses, Unix sockets, and sockets that are passed."""

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from bothways.errors import ConfigError
from bothways.server.settings import NetworkSettings
from bothways.server.sockets import describe, listening_socket, notify_systemd

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sockets of POSIX")


def test_an_address_in_use_is_an_error_that_names_it() -> None:
    with listening_socket(NetworkSettings(port=0), {}) as sock:
        port = sock.getsockname()[1]
        assert describe(sock) == f"http://127.0.0.1:{port}"
        with (
            pytest.raises(ConfigError, match=f"127.0.0.1:{port}.*in use"),
            listening_socket(NetworkSettings(port=port), {}),
        ):
            pass


def test_an_unknown_host_is_an_error() -> None:
    with (
        pytest.raises(ConfigError, match="host='no such host'"),
        listening_socket(NetworkSettings(host="no such host"), {}),
    ):
        pass


def test_a_unix_socket_replaces_a_stale_one_and_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    settings = NetworkSettings(uds=str(path))
    with listening_socket(settings, {}) as sock:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert describe(sock) == f"unix:{path}"
        with pytest.raises(ConfigError, match="listens there already"), listening_socket(settings):
            pass
        assert path.exists()
    assert not path.exists()


def test_a_file_is_not_replaced_by_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("x")
    with (
        pytest.raises(ConfigError, match="is no socket"),
        listening_socket(NetworkSettings(uds=str(path)), {}),
    ):
        pass
    assert path.read_text() == "x"


def test_a_socket_can_be_passed_by_its_descriptor() -> None:
    with socket.create_server(("127.0.0.1", 0)) as passed:
        settings = NetworkSettings(fd=os.dup(passed.fileno()))
        with listening_socket(settings, {}) as sock:
            assert sock.getsockname() == passed.getsockname()
    with (
        pytest.raises(ConfigError, match="fd=9999: not a socket"),
        listening_socket(NetworkSettings(fd=9999), {}),
    ):
        pass


def test_only_the_process_that_systemd_names_takes_its_sockets() -> None:
    other = {"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1"}
    with listening_socket(NetworkSettings(port=0), other) as sock:
        assert sock.fileno() != 3
    mine = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"}
    with (
        pytest.raises(ConfigError, match="LISTEN_FDS='2'"),
        listening_socket(NetworkSettings(port=0), mine),
    ):
        pass


def test_systemd_is_notified(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    notify_systemd("READY=1", {})
    notify_systemd("READY=1", {"NOTIFY_SOCKET": str(path)})  # nobody listens
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        notify_systemd("READY=1", {"NOTIFY_SOCKET": str(path)})
        assert sock.recv(100) == b"READY=1"

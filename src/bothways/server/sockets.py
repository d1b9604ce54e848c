"""The listening socket of a server: an address, a Unix socket, or one that was passed."""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from bothways.errors import ConfigError
from bothways.server.settings import NetworkSettings

__all__ = ["describe", "listening_socket", "notify_systemd"]

BACKLOG = 2048
"""Connections that may wait to be accepted."""

_FIRST_PASSED_FD = 3
"""The first descriptor that systemd passes."""


@contextlib.contextmanager
def listening_socket(
    settings: NetworkSettings, environment: Mapping[str, str] = os.environ
) -> Iterator[socket.socket]:
    """Bind the socket of the settings; a Unix socket is removed in the end.

    Raises:
        ConfigError: if the address is in use or not one of this machine.
    """
    fd = settings.fd if settings.fd is not None else _passed_fd(environment)
    if fd is not None:
        with _open_passed(fd) as sock:
            yield sock
    elif settings.uds:
        with _bind_path(Path(settings.uds)) as sock:
            try:
                yield sock
            finally:
                Path(settings.uds).unlink(missing_ok=True)
    else:
        with _bind_address(settings.host, settings.port) as sock:
            yield sock


def describe(sock: socket.socket) -> str:
    """The address of a socket, for people."""
    name = sock.getsockname()
    if isinstance(name, tuple):
        host = f"[{name[0]}]" if ":" in name[0] else name[0]
        return f"http://{host}:{name[1]}"
    return f"unix:{os.fsdecode(name)}"


def notify_systemd(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Report a state, such as `READY=1`, to systemd, if it runs this process and listens."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # a name in the abstract namespace
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.sendto(state.encode(), address)


def _passed_fd(environment: Mapping[str, str]) -> int | None:
    """The descriptor of a socket that systemd passes to this process."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = environment.get("LISTEN_FDS", "")
    if count != "1":
        raise ConfigError(f"LISTEN_FDS={count!r}: expected one socket")
    return _FIRST_PASSED_FD


def _open_passed(fd: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise ConfigError(f"fd={fd}: not a socket: {error.strerror}") from error
    sock.setblocking(False)
    return sock


def _bind_address(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"host={host!r}: {error.strerror or error}") from error
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --port, "
            "or end the program that uses it"
        ) from error
    sock.setblocking(False)
    return sock


def _bind_path(path: Path) -> socket.socket:
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # mode 0600 from the start
    try:
        sock.bind(str(path))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigError(f"uds={str(path)!r}: {error.strerror or error}") from error
    finally:
        os.umask(before)
    sock.setblocking(False)
    return sock


def _remove_stale(path: Path) -> None:
    """Remove the socket of a server that has ended.

    Raises:
        ConfigError: if a server listens there, or the path is no socket.
    """
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return
    if not is_socket:
        raise ConfigError(f"uds={str(path)!r}: exists, and is no socket; choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise ConfigError(f"uds={str(path)!r}: a server listens there already")

"""The life of a server process: sockets first, ready when warm, drain, reload, and its end."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from types import FrameType

import uvicorn
from prometheus_client import start_http_server

from bothways.errors import BothwaysError, ConfigError
from bothways.server.app import Application
from bothways.server.logs import configure_logging
from bothways.server.runtime import Runtime
from bothways.server.security import check_exposure, is_loopback, read_keys
from bothways.server.settings import ServerSettings
from bothways.server.sockets import BACKLOG, describe, listening_socket, notify_systemd

__all__ = ["COMPUTE_DIED", "check_socket", "serve"]

COMPUTE_DIED = 70
"""The exit code of a process whose compute thread has died (EX_SOFTWARE of sysexits.h)."""

_MAX_HEADER_BYTES = 16 << 10

_log = logging.getLogger("bothways.server")


def serve(
    settings: ServerSettings,
    reread: Callable[[], ServerSettings] | None = None,
    *,
    announce: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve until a signal ends it: SIGTERM or SIGINT drains, a second one ends at once.

    reread: the settings as they are now, for SIGHUP. announce: called with the address.

    Raises:
        ConfigError: if the settings contradict the machine, such as a port that is in use.
        BothwaysError: if a model cannot be loaded.
    """
    keys = read_keys(settings.server)
    check_exposure(settings.server, keys)
    configure_logging(settings.log)
    with listening_socket(settings.server) as sock:
        check_socket(sock, settings, keys)
        server: _Server | None = None

        def fail(error: Exception) -> None:
            if server is not None:
                server.should_exit = True

        def ready() -> None:
            notify_systemd("READY=1")
            _log.info("ready: %s", ", ".join(settings.models))

        runtime = Runtime(
            settings, keys, on_failure=fail, on_ready=ready, on_death=lambda: os._exit(COMPUTE_DIED)
        )
        if settings.server.metrics_address:
            _serve_metrics(runtime, settings.server.metrics_address)
        server = _Server(runtime, sock, reread or (lambda: settings))
        announce(describe(sock))
        server.run(sockets=[sock])
    _raise_failure(runtime)
    if server.loading_was_interrupted:
        # The thread that loads cannot be stopped, and must not outlive the interpreter.
        sys.stderr.flush()
        os._exit(0)


def _raise_failure(runtime: Runtime) -> None:
    if isinstance(runtime.error, BothwaysError | OSError | MemoryError):
        raise runtime.error
    if runtime.error is not None:
        raise RuntimeError("the models could not be loaded") from runtime.error


def check_socket(sock: socket.socket, settings: ServerSettings, keys: Mapping[str, bytes]) -> None:
    """Apply the rule of keys to the address that is in use: a socket may have been passed, and
    settings that are read again may have another host.

    Raises:
        ConfigError: naming what to do.
    """
    name = sock.getsockname()
    is_open = isinstance(name, tuple) and not is_loopback(name[0])
    if is_open and not (keys or settings.server.allow_open):
        raise ConfigError(
            f"the socket listens on {name[0]}, and others could use it without a key; set "
            "api_keys_file, or allow_open if a firewall decides who connects"
        )


def _serve_metrics(runtime: Runtime, address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        start_http_server(int(port), host.strip("[]"), registry=runtime.metrics.registry)
    except OSError as error:
        raise ConfigError(f"metrics_address={address!r}: {error.strerror or error}") from error


class _Server(uvicorn.Server):
    """uvicorn with a drain that is seen by load balancers, and a reload."""

    def __init__(
        self, runtime: Runtime, sock: socket.socket, reread: Callable[[], ServerSettings]
    ) -> None:
        settings = runtime.settings
        super().__init__(
            uvicorn.Config(
                Application(runtime),
                lifespan="on",
                ws="none",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=BACKLOG,
                h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
                limit_concurrency=settings.limits.max_connections,
                timeout_keep_alive=settings.limits.keep_alive_s,
                timeout_graceful_shutdown=max(1, round(settings.server.drain_s)),
            )
        )
        self._runtime = runtime
        self._socket = sock
        self._reread = reread
        self._loop: asyncio.AbstractEventLoop | None = None
        self.loading_was_interrupted = False

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal."""
        self._loop = asyncio.get_running_loop()
        if hasattr(signal, "SIGHUP"):
            self._loop.add_signal_handler(signal.SIGHUP, self._reload)
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal, and end at once at the second."""
        runtime = self._runtime
        if runtime.state == "draining":
            self.should_exit = self.force_exit = True
            return
        self.loading_was_interrupted = runtime.state == "loading"
        runtime.drain()
        delay = 0 if self.loading_was_interrupted else runtime.settings.server.drain_delay_s
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._drain, delay)

    def _drain(self, delay: float) -> None:
        _log.info("draining")
        notify_systemd("STOPPING=1")
        asyncio.get_running_loop().call_later(delay, setattr, self, "should_exit", True)

    def _reload(self) -> None:
        try:
            settings = self._reread()
            keys = read_keys(settings.server)
            check_socket(self._socket, settings, keys)
        except BothwaysError as error:
            _log.error("reload: nothing has changed: %s", error)
            return
        self._runtime.reload(settings, keys)

"""An ASGI application for one route: checks, errors in the dialect of the route, headers, logs."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any

from starlette.types import Receive, Scope, Send

from bothways.server.api import ApiDialect
from bothways.server.errors import ApiError, ClientGone
from bothways.server.exchange import Exchange, Reply
from bothways.server.logs import log_request
from bothways.server.runtime import Runtime
from bothways.server.security import check_body_type

__all__ = ["Endpoint", "Handler"]

Handler = Callable[[Exchange], Awaitable[Reply]]

CLIENT_CLOSED = 499
"""The status that logs and metrics have for a request whose client closed the connection."""

LARGE_REPLY = 16_384
"""Numbers of a reply that is written in a thread of its own, so that others need not wait."""

_log = logging.getLogger("bothways.server")


class Endpoint:
    """Answers the requests of a route.

    route: as metrics and logs name it. is_probe: whether anybody may ask, by any host name, as the
    reply says nothing but a state. is_open: whether a key is never needed.
    """

    def __init__(
        self,
        runtime: Runtime,
        route: str,
        handler: Handler,
        dialect: ApiDialect,
        *,
        methods: Iterable[str] = ("POST",),
        is_probe: bool = False,
        is_open: bool = False,
    ) -> None:
        self.runtime, self.route, self.handler, self.dialect = runtime, route, handler, dialect
        self.methods = tuple(methods)
        self._is_probe, self._is_open = is_probe, is_open or is_probe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        exchange = Exchange(scope, receive, self.runtime.admission.limits, self.route)
        status = CLIENT_CLOSED
        try:
            reply = await self._reply(exchange)
            body = await self._encode(exchange, reply)
            status = reply.status
            await _send(exchange, reply, body, send)
        except ClientGone:
            pass
        finally:
            await exchange.close()
            self._record(exchange, status)

    async def _reply(self, exchange: Exchange) -> Reply:
        try:
            self._check(exchange)
            if self._is_open:
                return await self.handler(exchange)
            with self.runtime.admission.request():
                return await self.handler(exchange)
        except ApiError as error:
            if error.reason:
                self.runtime.metrics.rejected.labels(error.reason).inc()
            return self._refusal(error)
        except (ClientGone, asyncio.CancelledError):
            raise
        except Exception:
            _log.exception("request %s failed", exchange.id)
            return self._refusal(
                ApiError(
                    HTTPStatus.INTERNAL_SERVER_ERROR,
                    "internal_error",
                    f"the server failed; its log has the reason under the id {exchange.id}",
                )
            )

    def _refusal(self, error: ApiError) -> Reply:
        status = self.dialect.statuses.get(error.code, error.status)
        reply = Reply(self.dialect.error_body(error), status=status)
        reply.headers.update(error.headers)
        return reply

    def _check(self, exchange: Exchange) -> None:
        """Refuse what no handler should see; the cheapest checks first."""
        headers, guard = exchange.headers, self.runtime.guard
        if not self._is_probe:
            guard.check_host(headers.get("host", ""))
        if not self._is_open:
            exchange.client = guard.client(headers.get("authorization", "")) or exchange.client
        method = exchange.scope["method"]
        if method not in self.methods and not (method == "HEAD" and "GET" in self.methods):
            raise ApiError(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "method_not_allowed",
                f"expected the method {' or '.join(self.methods)}",
                headers={"Allow": ", ".join(self.methods)},
            )
        if method == "POST":
            check_body_type(headers.get("content-type", ""), headers.get("content-encoding", ""))

    async def _encode(self, exchange: Exchange, reply: Reply) -> bytes:
        with exchange.measured("write"):
            if reply.numbers <= LARGE_REPLY:
                return reply.body()
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self.runtime.writers, reply.body)

    def _record(self, exchange: Exchange, status: int) -> None:
        metrics, model = self.runtime.metrics, exchange.model
        exchange.seconds["total"] = time.monotonic() - exchange.started
        metrics.requests.labels(self.route, model, status).inc()
        for part, seconds in exchange.seconds.items():
            metrics.request_seconds.labels(self.route, model, part).observe(seconds)
        if exchange.inputs:
            metrics.inputs.labels(model, exchange.operation).inc(exchange.inputs)
            metrics.tokens.labels(model, exchange.operation).inc(exchange.tokens)
        if exchange.truncated:
            metrics.truncated.labels(model).inc(len(exchange.truncated))
        if self.runtime.settings.log.requests and not self._is_probe:
            log_request(exchange, status)


async def _send(exchange: Exchange, reply: Reply, body: bytes, send: Send) -> None:
    headers = {
        "Content-Type": reply.media_type,
        "Content-Length": str(len(body)),
        "X-Request-Id": exchange.id,
        "Server-Timing": _server_timing(exchange),
        **reply.headers,
    }
    if exchange.served is not None:
        headers["X-Bothways-Fingerprint"] = exchange.served.engine.fingerprint
    if exchange.truncated:
        headers["X-Bothways-Truncated"] = _indices(exchange.truncated)
    pairs: list[tuple[bytes, bytes]] = [
        (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in headers.items()
    ]
    start: dict[str, Any] = {
        "type": "http.response.start",
        "status": int(reply.status),
        "headers": pairs,
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _server_timing(exchange: Exchange) -> str:
    parts = ("read", "tokenize", "queue", "compute", "write")
    seconds = exchange.seconds
    return ", ".join(f"{p};dur={1000 * seconds[p]:.2f}" for p in parts if p in seconds)


def _indices(indices: list[int]) -> str:
    """The first indices, as a header has room for them, and `...` for more."""
    shown = ",".join(map(str, indices[:256]))
    return shown if len(indices) <= 256 else f"{shown},..."

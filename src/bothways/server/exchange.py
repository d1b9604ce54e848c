"""One request and its reply: headers, body, deadline, and what is measured and logged."""

import asyncio
import contextlib
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from bothways.server.errors import ApiError, ClientGone
from bothways.server.metrics import Part
from bothways.server.models import ServedModel
from bothways.server.settings import Limits

__all__ = ["Exchange", "Reply", "encode_rows"]

_Body = TypeVar("_Body")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")

_NUMBERS_AT_A_TIME = 8192

_PLACE = re.compile(r"^(.*) - at `\$\.?(.*)`$", re.DOTALL)
"""How msgspec ends a message: the place of what is wrong."""


class Reply:
    """A reply: its body, or what to encode as JSON.

    content: an object that msgspec encodes, or the bytes themselves. numbers: how many numbers
    are in it, about.
    """

    def __init__(
        self,
        content: Any,
        *,
        status: int = 200,
        media_type: str = "application/json",
        numbers: int = 0,
    ) -> None:
        self.numbers = numbers
        self.headers: dict[str, str] = {}
        self.content, self.status, self.media_type = content, status, media_type

    def body(self) -> bytes:
        """The bytes of the body."""
        content = self.content
        return content if isinstance(content, bytes) else msgspec.json.encode(content)


def encode_rows(rows: Sequence[Any], encode: Callable[[Any], Any], numbers: int) -> bytes:
    """A JSON list of what `encode` makes of rows.

    The encoder keeps the interpreter's lock, so it gets few numbers at a time.

    numbers: of a row.
    """
    step = max(1, _NUMBERS_AT_A_TIME // max(1, numbers))
    parts = [
        msgspec.json.encode([encode(row) for row in rows[start : start + step]])[1:-1]
        for start in range(0, len(rows), step)
    ]
    return b"[" + b",".join(parts) + b"]"


class Exchange:
    """A request that is being answered.

    client: who takes turns with others: the name of a key, or the address. model, inputs, tokens,
    truncated: what metrics, headers and the log say of it, when it is known.
    """

    def __init__(self, scope: Scope, receive: Receive, limits: Limits, route: str) -> None:
        self.scope = scope
        self.headers = Headers(scope=scope)
        self.limits = limits
        self.route = route
        self.started = time.monotonic()
        sent_id = self.headers.get("x-request-id", "")
        self.id = sent_id if _REQUEST_ID.fullmatch(sent_id) else uuid.uuid4().hex
        peer = scope.get("client")
        self.client = str(peer[0]) if peer else "local"
        self.seconds: dict[Part, float] = {}
        self.served: ServedModel | None = None
        self.operation = ""
        self.inputs = self.tokens = 0
        self.truncated: list[int] = []
        self._receive = receive
        self._gone: asyncio.Task[None] | None = None

    @property
    def model(self) -> str:
        """The served name of the model, "" if it is not known."""
        return "" if self.served is None else self.served.name

    def trace_id(self) -> str:
        """The trace of the W3C header `traceparent`, "" without one."""
        match = _TRACE.fullmatch(self.headers.get("traceparent", ""))
        return match[1] if match else ""

    @contextlib.contextmanager
    def measured(self, part: Part) -> Iterator[None]:
        """Add the time of a block to a part of the request."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.add(part, time.monotonic() - started)

    def add(self, part: Part, seconds: float) -> None:
        """Add to the time of a part of the request."""
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds

    def deadline(self) -> float:
        """When the request is dropped, in the time of `time.monotonic`.

        Raises:
            ApiError: if the client's X-Request-Timeout is no duration.
        """
        seconds = self.limits.request_timeout_s
        if text := self.headers.get("x-request-timeout"):
            try:
                wanted = float(text)
            except ValueError:
                wanted = -1.0
            if not wanted > 0:
                raise ApiError(
                    HTTPStatus.BAD_REQUEST,
                    "invalid_timeout",
                    "X-Request-Timeout: expected a number of seconds above 0",
                )
            seconds = min(seconds, wanted)
        return self.started + seconds

    async def read(self, type_: type[_Body]) -> _Body:
        """The body of the request, as JSON of a type.

        Raises:
            ApiError: if it is too large or too slow, or not JSON of that type.
            ClientGone: if the client closes the connection.
        """
        return self.decode(await self.read_bytes(), type_)

    def decode(self, body: bytes, type_: type[_Body]) -> _Body:
        """A body as JSON of a type.

        Raises:
            ApiError: naming the field that is none.
        """
        with self.measured("read"):
            return _decode(body, type_)

    async def read_bytes(self) -> bytes:
        """The bytes of the body.

        Raises:
            ApiError: if it is too large or too slow.
            ClientGone: if the client closes the connection.
        """
        with self.measured("read"):
            return await self._read_bytes()

    def watch(self) -> "asyncio.Task[None]":
        """A task that ends when the client closes the connection; after the body is read."""
        if self._gone is None:
            self._gone = asyncio.create_task(self._wait_for_disconnect())
        return self._gone

    async def close(self) -> None:
        """End the task of `watch`."""
        if self._gone is not None:
            self._gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._gone

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _read_bytes(self) -> bytes:
        limit = self.limits.max_body_bytes
        declared = self.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise _too_large(int(declared), limit)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.limits.body_timeout_s):
                while True:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > limit:
                        raise _too_large(size, limit)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise ApiError(
                HTTPStatus.REQUEST_TIMEOUT,
                "body_timeout",
                f"the body was not complete after {self.limits.body_timeout_s:g} s "
                f"(body_timeout_s): {size} bytes had arrived",
                headers={"Connection": "close"},
                reason="body",
            ) from None


def _too_large(size: int, limit: int) -> ApiError:
    return ApiError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body_too_large",
        f"the body has {size} bytes or more, and a request may have {limit} (max_body_bytes); "
        "send several requests",
        headers={"Connection": "close"},
        reason="body",
    )


def _decode(body: bytes, type_: type[_Body]) -> _Body:
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError as error:
        match = _PLACE.match(str(error))
        message, param = (match[1], match[2]) if match else (str(error), None)
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "invalid_value",
            f"{param or 'the body'}: {message}",
            param=param or None,
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(
            HTTPStatus.BAD_REQUEST, "invalid_json", f"the body is not valid JSON: {error}"
        ) from None
    except RecursionError:
        raise ApiError(
            HTTPStatus.BAD_REQUEST, "invalid_json", "the body is nested too deeply"
        ) from None

"""From the inputs of a request to the results of the engine, whatever the dialect."""

import asyncio
import contextlib
import dataclasses
import functools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from bothways.errors import InputError, SequenceTooLong
from bothways.inference.options import RunOptions
from bothways.sequences import FittedSequence
from bothways.server.admission import CHARACTERS_PER_TOKEN
from bothways.server.compute import Failure
from bothways.server.engine import Operation, Sparse, Tokens, Work, windows_of
from bothways.server.errors import ApiError, ClientGone
from bothways.server.exchange import Exchange
from bothways.server.models import ServedModel
from bothways.server.queue import Ticket
from bothways.server.runtime import Runtime

__all__ = ["RequestInputs", "Service", "input_errors"]

_T = TypeVar("_T")

_log = logging.getLogger("bothways.server")

CHUNK_CHARACTERS = 16_384
"""Characters that are read at a time: those of other requests are read in between."""

LONG_CHARACTERS = 131_072
"""Characters of a text that is read in a thread of its own."""


@dataclasses.dataclass(frozen=True)
class RequestInputs:
    """The inputs of a request.

    param: the field that holds them, for messages. options: prompt and overflow. max_length: cut at
    fewer tokens than the model takes.
    """

    rows: Sequence[Any]
    param: str
    options: RunOptions
    max_length: int | None = None
    single: bool = False

    def name(self, index: int) -> str:
        """The place of an input in the request, for messages."""
        return self.param if self.single else f"{self.param}[{index}]"


class Service:
    """Reads and computes the inputs of requests."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def find(
        self,
        exchange: Exchange,
        name: str | None,
        suits: Callable[[ServedModel], bool] | None = None,
    ) -> ServedModel:
        """The model of a request: the one of that name, or the only one that suits.

        Raises:
            ApiError: 404 if it is not served; 503 if the server is not ready.
        """
        runtime = self.runtime
        await runtime.wait_if_not_served()
        if runtime.state in ("loading", "failed") or not runtime.is_computing:
            raise ApiError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "not_ready",
                "the models are not loaded; send this request again when /ready says so",
                headers={"Retry-After": "1"},
            )
        exchange.served = runtime.models.find(name, suits)
        return exchange.served

    async def read(
        self, exchange: Exchange, served: ServedModel, inputs: RequestInputs
    ) -> list[FittedSequence]:
        """Read and fit the inputs, if the server has room for them.

        Raises:
            ApiError: naming the input that is invalid, or if too much waits.
        """
        engine, runtime = served.engine, self.runtime
        computer, rate = runtime.computer(engine), runtime.rate(engine)
        # A text that will be cut is computed up to there.
        is_cut = inputs.options.on_overflow == "truncate"
        limit = CHARACTERS_PER_TOKEN * engine.max_length
        lengths = map(_characters, inputs.rows)
        characters = sum(min(n, limit) if is_cut else n for n in lengths)
        loop = asyncio.get_running_loop()
        fitted: list[FittedSequence] = []
        with (
            exchange.measured("tokenize"),
            runtime.admission.reading(computer, characters, computer.queued_tokens, rate),
        ):
            for start, stop in _chunks(inputs.rows):
                rows = inputs.rows[start:stop]
                is_slow = len(rows) == 1 and _characters(rows[0]) > LONG_CHARACTERS
                readers = runtime.slow_readers if is_slow else runtime.readers
                with input_errors(inputs, start):
                    fitted += await loop.run_in_executor(
                        readers, engine.prepare, rows, inputs.options, inputs.max_length
                    )
                if exchange.watch().done():
                    raise ClientGone
        tokens = sum(f.num_tokens for f in fitted)
        exchange.inputs += len(fitted)
        exchange.tokens += tokens
        exchange.truncated += [i for i, f in enumerate(fitted) if f.truncated]
        runtime.admission.check_tokens(exchange.tokens, param=inputs.param)
        runtime.admission.check_queue(computer, tokens, computer.queued_tokens, rate)
        return fitted

    async def compute(
        self,
        exchange: Exchange,
        served: ServedModel,
        operation: Operation,
        fitted: Sequence[FittedSequence],
        inputs: RequestInputs,
    ) -> list[Any]:
        """The results of an operation, one per input.

        The windows of a long input are computed like inputs of their own, so that no other request
        waits for all of them.

        Raises:
            ApiError: 504 after the deadline; 500 if the engine fails for an input.
            ClientGone: if the client closes the connection.
        """
        exchange.operation = type(operation).__name__.lower()
        windows = [windows_of(f) for f in fitted]
        if isinstance(operation, Sparse) or all(len(parts) == 1 for parts in windows):
            places = list(range(len(fitted)))
            return await self._compute(exchange, served, operation, fitted, inputs, places)
        results: list[Any] = [None] * len(fitted)
        whole = [i for i, parts in enumerate(windows) if len(parts) == 1]
        of_whole = await self._compute(
            exchange, served, operation, [fitted[i] for i in whole], inputs, whole
        )
        for i, result in zip(whole, of_whole, strict=True):
            results[i] = result
        split = [(i, part) for i, parts in enumerate(windows) if len(parts) > 1 for part in parts]
        states = iter(
            await self._compute(
                exchange,
                served,
                Tokens(),
                [part for _, part in split],
                inputs,
                [i for i, _ in split],
            )
        )
        for i, parts in enumerate(windows):
            if len(parts) > 1:
                of_parts = [next(states) for _ in parts]
                merge = functools.partial(served.engine.merge, operation, fitted[i], of_parts)
                results[i] = await self.offload(merge)
        return results

    async def _compute(
        self,
        exchange: Exchange,
        served: ServedModel,
        operation: Operation,
        fitted: Sequence[FittedSequence],
        inputs: RequestInputs,
        places: Sequence[int],
    ) -> list[Any]:
        """The results of an operation for parts of a request; places: of each in the request."""
        engine = served.engine
        computer = self.runtime.computer(engine)
        deadline = exchange.deadline()
        submitted = time.monotonic()
        ticket = computer.submit(
            exchange.client, Work(engine, operation), engine.entries(fitted), deadline=deadline
        )
        try:
            results = await self._results(exchange, ticket, deadline)
        finally:
            if not ticket.context.future.done():
                computer.cancel(ticket)
                ticket.context.future.cancel()
        started = ticket.context.first_started or submitted
        exchange.add("queue", started - submitted)
        exchange.add("compute", time.monotonic() - started)
        for place, result in zip(places, results, strict=True):
            if isinstance(result, Failure):
                name = inputs.name(place)
                _log.error("%s: %s failed", exchange.id, name, exc_info=result.error)
                raise ApiError(
                    HTTPStatus.INTERNAL_SERVER_ERROR,
                    "internal_error",
                    f"{name}: the server failed to compute it; the log has the reason under the "
                    f"id {exchange.id}",
                    param=name,
                )
        return results

    async def offload(self, function: Callable[[], _T]) -> _T:
        """Call a function in a thread, so that other requests need not wait for it."""
        return await asyncio.get_running_loop().run_in_executor(self.runtime.writers, function)

    async def _results(
        self, exchange: Exchange, ticket: Ticket[Work], deadline: float
    ) -> list[Any]:
        """Wait for the results, the end of the connection or the deadline."""
        future: asyncio.Future[list[Any]] = ticket.context.future
        gone = exchange.watch()
        timeout = max(0.0, deadline - time.monotonic())
        await asyncio.wait((future, gone), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if future.done():
            return future.result()
        if gone.done():
            self.runtime.metrics.dropped.labels("disconnect").inc()
            raise ClientGone
        self.runtime.metrics.dropped.labels("deadline").inc()
        raise ApiError(
            HTTPStatus.GATEWAY_TIMEOUT,
            "deadline_exceeded",
            "the request was not computed within its time (request_timeout_s, or its "
            "X-Request-Timeout); send fewer inputs at a time, or allow more time",
            headers={"x-should-retry": "false"},
        )


@contextlib.contextmanager
def input_errors(inputs: RequestInputs, start: int = 0) -> Iterator[None]:
    """Answer an invalid input or argument with status 400, and the place of the input."""
    try:
        yield
    except InputError as error:
        code = "context_length_exceeded" if isinstance(error, SequenceTooLong) else "invalid_input"
        if error.sequence is None:
            raise ApiError(HTTPStatus.BAD_REQUEST, code, error.detail) from None
        name = inputs.name(start + error.sequence)
        raise ApiError(
            HTTPStatus.BAD_REQUEST, code, f"{name}: {error.detail}", param=name
        ) from None


def _characters(row: Any) -> int:
    """The length of an input in characters; of a pair, of both; ids count as four each."""
    if isinstance(row, str):
        return len(row)
    if isinstance(row, tuple):
        return sum(map(len, row))
    return 4 * len(row)


def _chunks(rows: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """Start and stop of parts of at most `CHUNK_CHARACTERS`; a longer input is a part by itself."""
    start, characters = 0, 0
    for index, row in enumerate(rows):
        added = _characters(row)
        if index > start and characters + added > CHUNK_CHARACTERS:
            yield start, index
            start, characters = index, 0
        characters += added
    if start < len(rows):
        yield start, len(rows)

"""Admission: which requests are let in, and when the others may come back.

Work is counted in tokens, so that one input and a list are subject to the same rule.
"""

import contextlib
import math
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus

from bothways.server.errors import ApiError
from bothways.server.settings import Limits

__all__ = ["CHARACTERS_PER_TOKEN", "Admission", "retry_headers"]

CHARACTERS_PER_TOKEN = 4
"""Characters of a token, about, for a first estimate before a text is tokenized."""

_SHORTEST_RETRY_S, _LONGEST_RETRY_S = 0.05, 60.0


class Admission:
    """Counts requests in progress, and the tokens that wait for a device or are being read."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.requests = 0
        """Requests in progress."""
        self._reading: Counter[object] = Counter()

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Count a request while it is in progress.

        Raises:
            ApiError: 429, if there are too many.
        """
        if self.requests >= self.limits.max_requests:
            raise ApiError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_requests",
                f"the server works on {self.requests} requests, which is max_requests; "
                "send this one again later",
                headers=retry_headers(1.0),
                reason="queue_full",
            )
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    def check_inputs(self, count: int, *, param: str) -> None:
        """Refuse a request without inputs, or with too many.

        Raises:
            ApiError: naming the field, the number and the limit.
        """
        if count == 0:
            raise ApiError(
                HTTPStatus.BAD_REQUEST,
                "empty_input",
                f"{param}: an empty list; expected at least one input",
                param=param,
            )
        if count > self.limits.max_inputs:
            raise ApiError(
                HTTPStatus.BAD_REQUEST,
                "too_many_inputs",
                f"{param}: {count} inputs, and a request may have {self.limits.max_inputs} "
                "(max_inputs); send several requests",
                param=param,
                reason="inputs",
            )

    @contextlib.contextmanager
    def reading(self, device: object, characters: int, queued: int, rate: float) -> Iterator[None]:
        """Count a request's estimated tokens for a device while they are read and submitted.

        queued: tokens that wait for the device. rate: tokens that it computes per second.

        Raises:
            ApiError: 429, if too much waits already.
        """
        estimate = characters // CHARACTERS_PER_TOKEN
        self.check_queue(device, estimate, queued, rate)
        self._reading[device] += estimate
        try:
            yield
        finally:
            self._reading[device] -= estimate

    def check_queue(self, device: object, tokens: int, queued: int, rate: float) -> None:
        """Refuse tokens beyond `max_queue_s` of computation, unless nothing waits.

        Raises:
            ApiError: 429, with the time after which there should be room.
        """
        waiting = queued + self._reading[device]
        limit = rate * self.limits.max_queue_s
        if waiting and waiting + tokens > limit:
            raise ApiError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "queue_full",
                f"{waiting} tokens wait, and the server computes about {rate:.0f} per second; "
                f"{tokens} more would wait longer than max_queue_s ({self.limits.max_queue_s:g}); "
                "send this request again after the time in Retry-After",
                headers=retry_headers((waiting + tokens - limit) / rate),
                reason="queue_full",
            )

    def check_tokens(self, tokens: int, *, param: str) -> None:
        """Refuse a request with too many tokens.

        Raises:
            ApiError: naming the field, the number and the limit.
        """
        if tokens > self.limits.max_request_tokens:
            raise ApiError(
                HTTPStatus.BAD_REQUEST,
                "too_many_tokens",
                f"{param}: {tokens} tokens, and a request may have "
                f"{self.limits.max_request_tokens} (max_request_tokens); send several requests",
                param=param,
                reason="tokens",
            )


def retry_headers(seconds: float) -> dict[str, str]:
    """Headers that say when to send a request again: in whole seconds, and in milliseconds."""
    seconds = min(max(seconds, _SHORTEST_RETRY_S), _LONGEST_RETRY_S)
    return {
        "Retry-After": str(math.ceil(seconds)),
        "retry-after-ms": str(math.ceil(seconds * 1000)),
    }

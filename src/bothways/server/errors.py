"""Errors that a request is answered with, before a dialect gives them their form."""

from collections.abc import Mapping
from http import HTTPStatus

__all__ = ["ApiError", "ClientGone"]

_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """A request that is refused or has failed.

    status: of HTTP. code: a word for programs. message: what was wrong and what to do, for people.
    param: the field that is wrong. headers: of the reply. reason: the label under which metrics
    count a refusal, "" for none.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param = HTTPStatus(status), code, message, param
        self.headers = dict(headers or {})
        self.reason = reason

    @property
    def type(self) -> str:
        """The class of the error, as OpenAI names it."""
        if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return "server_error"
        return _TYPES.get(self.status, "invalid_request_error")


class ClientGone(Exception):
    """The client has closed the connection; nobody reads a reply."""

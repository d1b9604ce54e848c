"""The dialects of a server: what requests and replies look like. One file per dialect, no logic."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bothways.server.errors import ApiError

__all__ = ["ApiDialect"]


class ApiDialect(NamedTuple):
    """How the routes of a dialect refuse.

    error_body: the body of an error. statuses: those of errors by their code, where the dialect has
    others than the usual ones.
    """

    error_body: Callable[[ApiError], Any]
    statuses: Mapping[str, int] = {}

"""The dialects of a server: what requests and replies look like. One file per dialect, no logic."""

from collections.abc import Callable
from typing import Any, NamedTuple

from bothways.server.errors import ApiError

__all__ = ["Dialect"]


class Dialect(NamedTuple):
    """How the routes of a dialect refuse.

    error_body: the body of an error. too_many_inputs: the status for a list that is too long.
    """

    error_body: Callable[[ApiError], Any]
    too_many_inputs: int = 400

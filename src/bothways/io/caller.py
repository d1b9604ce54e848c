"""Warnings at the line that called bothways, however deep the code that gives them."""

import inspect
import warnings

__all__ = ["warn_caller"]


def warn_caller(warning: Warning) -> None:
    """Warn at the line that called bothways."""
    warnings.warn(warning, stacklevel=_frames_to_the_caller())


def _frames_to_the_caller() -> int:
    """The `stacklevel` in the function that calls this for the first frame outside bothways."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith("bothways."):
        frame, level = frame.f_back, level + 1
    return level

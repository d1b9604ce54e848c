"""Warnings of a model in the words of an estimator, each kind once per fit."""

import threading
import warnings
from collections.abc import Callable
from typing import TypeVar

from bothways.errors import TruncationWarning, UnknownTokenWarning
from bothways.io.caller import warn_caller

__all__ = ["Notices"]

_T = TypeVar("_T")

_lock = threading.RLock()
"""`warnings.catch_warnings` changes the state of the process."""


class Notices:
    """Gives each kind of warning about sequences once.

    advice: for cut sequences, in place of advice on arguments that the estimator does not have;
        None to keep the text.
    """

    def __init__(self, advice: str | None = None) -> None:
        self._advice = advice
        self._given: set[type[Warning]] = set()

    def call(self, work: Callable[[], _T]) -> _T:
        """The result of `work`; its warnings about sequences are given at most once."""
        recorded: list[warnings.WarningMessage] = []
        try:
            with _lock, warnings.catch_warnings(record=True) as recorded:
                warnings.simplefilter("always")
                result = work()
        finally:
            for entry in recorded:
                if isinstance(entry.message, TruncationWarning | UnknownTokenWarning):
                    self.give(entry.message)
                else:
                    warnings.warn_explicit(
                        entry.message, entry.category, entry.filename, entry.lineno
                    )
        return result

    def give(self, warning: TruncationWarning | UnknownTokenWarning) -> None:
        """Warn, unless a warning of this kind was given since the fit."""
        if type(warning) not in self._given:
            self._given.add(type(warning))
            warn_caller(self._reworded(warning))

    def _reworded(self, warning: TruncationWarning | UnknownTokenWarning) -> Warning:
        if self._advice is None:
            return warning
        if isinstance(warning, UnknownTokenWarning):
            text = str(warning).partition(". on_unknown=")[0]
            return UnknownTokenWarning(
                text, count=warning.count, first=warning.first, advice=warning.advice
            )
        return TruncationWarning(f"{str(warning).partition(';')[0]}; {self._advice}")

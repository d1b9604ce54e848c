"""Sessions that are pickled as the source of their model, and loaded again where they arrive."""

import functools
import os
import threading
from typing import NamedTuple

from bothways import checkpoints
from bothways.errors import CheckpointError, InputError
from bothways.inference.session import LoadArguments, Session, open_session

__all__ = ["SavedSession"]

SESSIONS_KEPT = 4
"""Sessions that a process keeps after it unpickled them: the next one to arrive is the same."""

_lock = threading.Lock()


class SavedSession(NamedTuple):
    """The arguments that a model was loaded with, and its fingerprint."""

    arguments: LoadArguments
    fingerprint: str

    @classmethod
    def of(cls, session: Session) -> "SavedSession":
        """Describe a session.

        Raises:
            InputError: if the session was not opened from a source.
        """
        if session.load_arguments is None:
            raise InputError(
                "this encoder cannot be pickled: it was not loaded from a folder or another "
                "source; write its model to a folder and load it with bothways.load"
            )
        return cls(session.load_arguments, checkpoints.fingerprint(session.path))

    def open(self) -> Session:
        """Open the session; once per process, for the last `SESSIONS_KEPT` different ones.

        Raises:
            CheckpointError: if the model has changed.
            SourceError, BackendError, MissingExtra: as `open_session`.
        """
        with _lock:
            return _open(self)


@functools.lru_cache(SESSIONS_KEPT)
def _open(saved: SavedSession) -> Session:
    session = open_session(saved.arguments)
    fingerprint = checkpoints.fingerprint(session.path)
    if fingerprint != saved.fingerprint:
        raise CheckpointError(
            f"{saved.arguments.source}: not the model that was pickled: its fingerprint is "
            f"{fingerprint}, expected {saved.fingerprint}"
        )
    return session


def _renew_lock() -> None:
    """Replace the lock, which another thread of the parent may have held."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)

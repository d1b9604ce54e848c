"""The threads of the `tokenizers` library in a forked process."""

import os

__all__: list[str] = []

_VARIABLE = "TOKENIZERS_PARALLELISM"


def _stop_parallelism() -> None:
    """Make the library compute in the calling thread.

    Its threads do not survive a fork, and a child waits for them forever. The library sees to this
    itself unless the user has set the variable, which it reads in each call.
    """
    if _VARIABLE in os.environ:
        os.environ[_VARIABLE] = "false"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stop_parallelism)

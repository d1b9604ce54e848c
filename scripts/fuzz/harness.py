"""Runs a target on mutated files, and says which inputs break the promise of the readers."""

import contextlib
import random
import shutil
import signal
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scripts.fuzz.mutations import mutate
from scripts.fuzz.targets import Target

from bothways.errors import BothwaysError

__all__ = ["Finding", "find_faults"]

MAX_SECONDS = 10


class Finding(NamedTuple):
    """A mutated file that ends in anything but a result or an error of bothways.

    number: of the mutation, which the seed and the target reproduce. file, content: the file.
    """

    number: int
    file: Path
    content: bytes
    reason: str


class TooSlow(Exception):
    """A reader took more than `MAX_SECONDS`."""


def find_faults(target: Target, numbers: range, seed: str) -> Iterator[Finding]:
    """Read the target's files, one of them mutated, once per number."""
    with tempfile.TemporaryDirectory() as scratch:
        valid = Path(scratch) / "valid"
        valid.mkdir()
        target.make(valid)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.read(_copy(valid))  # the promise means nothing if nothing can be read
        files = sorted(path.relative_to(valid) for path in valid.rglob("*") if path.is_file())
        for number in numbers:
            rng = random.Random(f"{seed} {number}")
            file = rng.choice(files)
            content = mutate((valid / file).read_bytes(), rng)
            folder = _copy(valid)
            (folder / file).write_bytes(content)
            reason = fault(target, folder)
            if reason is not None:
                yield Finding(number, file, content, reason)


def fault(target: Target, folder: Path) -> str | None:
    """Why reading the folder breaks the promise; None if it does not."""
    try:
        with warnings.catch_warnings(), _time_limit():
            warnings.simplefilter("ignore")
            target.read(folder)
    except BothwaysError:
        return None
    except Exception:
        return traceback.format_exc()
    return None


def _copy(valid: Path) -> Path:
    folder = valid.with_name("mutated")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(valid, folder)
    return folder


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(MAX_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)

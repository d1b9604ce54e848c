"""Where fetched models are kept: folders that appear whole, or not at all.

    <cache>/models/<name>/receipt.json    the source, and size and SHA-256 of every file
    <cache>/models/<name>/model/          the files
    <cache>/models/<name>.lock            locked while <name> is being fetched
    <cache>/models/<name>.partial-*/      a fetch under way, or what is left of one that was killed

The lock is the operating system's: it ends with the process that holds it, however that ends. So
whoever holds it knows that partial folders of the same name are nobody's, and removes them.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

import platformdirs

from bothways.errors import SourceError
from bothways.io.atomic import publish_folder

__all__ = ["FileRecord", "PullProgress", "Slot", "is_offline", "root"]

PullProgress = Callable[[int, int | None], None]
"""Called with the bytes that are here, and the bytes in all where they are known, else None.

Calls never overlap, but may come from another thread than the one that asked.
"""

_TRUE = {"1", "ON", "TRUE", "YES"}
_POLL_SECONDS = 0.1


def root() -> Path:
    """The cache folder: `BOTHWAYS_CACHE`, or the user's cache folder of the platform."""
    if chosen := os.environ.get("BOTHWAYS_CACHE"):
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_cache_path("bothways", appauthor=False)


def is_offline() -> bool:
    """Whether connections are forbidden: by `BOTHWAYS_OFFLINE`, or if unset by `HF_HUB_OFFLINE`."""
    for variable in ("BOTHWAYS_OFFLINE", "HF_HUB_OFFLINE"):
        if value := os.environ.get(variable):
            return value.upper() in _TRUE
    return False


@dataclasses.dataclass(frozen=True)
class FileRecord:
    """What a file was when it was fetched: its size in bytes and its SHA-256 in hex."""

    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Slot:
    """The place of one source in the cache, filled or not.

    source: the source, written in one way only. label: the readable part of the folder's name.
    """

    source: str
    label: str

    @property
    def folder(self) -> Path:
        """The slot's own folder, whether it exists or not."""
        label = re.sub(r"[^A-Za-z0-9.+!_-]", "-", self.label)
        return (
            root() / "models" / f"{label}-{hashlib.sha256(self.source.encode()).hexdigest()[:12]}"
        )

    def find(self, pinned: Mapping[str, str] | None, *, rehash: bool = False) -> Path | None:
        """The model folder if it is here whole, else None.

        Whole: every file of the receipt has its size, and the receipt the digests of `pinned`,
        where given. The files are not read again, so this takes no longer for a large model,
        unless `rehash`: then their content is compared too.
        """
        receipt = self._receipt()
        if receipt is None or (pinned is not None and pinned != _digests(receipt)):
            return None
        model = self.folder / "model"
        for name, record in receipt.items():
            try:
                if (model / name).stat().st_size != record.size:
                    return None
                if rehash and _sha256(model / name) != record.sha256:
                    return None
            except OSError:
                return None
        return model

    @contextlib.contextmanager
    def locked(self, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Keep other processes from filling the slot; `waiting` is called while another does."""
        with self._telling_of_the_cache():
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            lock = _lock_of(self.folder).open("ab")
        with lock:
            with self._telling_of_the_cache():
                while not _try_lock(lock):
                    waiting()
                    time.sleep(_POLL_SECONDS)
                self._sweep()
            yield

    @contextlib.contextmanager
    def filling(self) -> Iterator[Path]:
        """A folder to work in while the slot is locked; in the end it goes, whatever happens."""
        with self._telling_of_the_cache():
            prefix = f"{self.folder.name}.partial-"
            scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=self.folder.parent))
            try:
                yield scratch
            finally:
                shutil.rmtree(scratch, ignore_errors=True)

    def keep(self, model: Path, files: Mapping[str, FileRecord]) -> Path:
        """Move a finished model folder, its files on disk, into the slot; return its new path.

        model: a folder within the one that `filling` gave.
        """
        entry = model.parent / "entry"
        entry.mkdir()
        model.rename(entry / "model")
        receipt = {
            "source": self.source,
            "files": {n: [f.size, f.sha256] for n, f in files.items()},
        }
        (entry / "receipt.json").write_text(json.dumps(receipt, indent=1), encoding="utf-8")
        # What is there is damaged, or of other pins.
        publish_folder(entry, self.folder, displaced=model.parent / "replaced")
        return self.folder / "model"

    def _receipt(self) -> dict[str, FileRecord] | None:
        try:
            receipt = json.loads((self.folder / "receipt.json").read_text(encoding="utf-8"))
            return {name: FileRecord(*record) for name, record in receipt["files"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # not there, or not as `keep` writes it

    def _sweep(self) -> None:
        """Remove what killed fetches left, of this slot and of others that nobody is filling."""
        for partial in self.folder.parent.glob("*.partial-*"):
            owner = partial.with_name(partial.name.partition(".partial-")[0])
            if owner == self.folder:
                shutil.rmtree(partial, ignore_errors=True)
                continue
            with _lock_of(owner).open("ab") as lock:
                if _try_lock(lock):
                    shutil.rmtree(partial, ignore_errors=True)

    @contextlib.contextmanager
    def _telling_of_the_cache(self) -> Iterator[None]:
        try:
            yield
        except SourceError:
            raise
        except OSError as error:
            raise SourceError(
                f"{self.source}: the cache folder {root()} cannot be written: "
                f"{error.strerror or error}; make room or set BOTHWAYS_CACHE to another folder"
            ) from error


def _digests(receipt: Mapping[str, FileRecord]) -> dict[str, str]:
    return {name: record.sha256 for name, record in receipt.items()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

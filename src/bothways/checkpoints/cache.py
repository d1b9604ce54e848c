"""The cache of downloaded models: folders that appear atomically.

    <cache>/models/<name>/receipt.json    the source, and size and SHA-256 of every file
    <cache>/models/<name>/model/          the files
    <cache>/models/<name>.lock            locked during the download of <name>
    <cache>/models/<name>.partial-*/      a running download, or what a killed one has left

The operating system releases a lock when its process ends, even if it is killed. The process that
holds the lock can therefore remove partial folders of the same name.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import platformdirs

from bothways.errors import SourceError
from bothways.io.atomic import publish_folder
from bothways.io.locks import try_lock

__all__ = ["FileRecord", "PullProgress", "Slot", "is_offline", "root"]

PullProgress = Callable[[int, int | None], None]
"""Called with the bytes received and the total bytes, or None if the total is unknown.

Calls never overlap, but can come from another thread than the caller's.
"""

_TRUE = {"1", "ON", "TRUE", "YES"}
_POLL_SECONDS = 0.1


def root() -> Path:
    """The cache folder: `BOTHWAYS_CACHE`, or a folder in the platform's cache folder."""
    if setting := os.environ.get("BOTHWAYS_CACHE"):
        return Path(setting).expanduser().absolute()
    return platformdirs.user_cache_path("bothways", appauthor=False)


def is_offline() -> bool:
    """Whether connections are forbidden: by `BOTHWAYS_OFFLINE`, or if unset by `HF_HUB_OFFLINE`."""
    for variable in ("BOTHWAYS_OFFLINE", "HF_HUB_OFFLINE"):
        if value := os.environ.get(variable):
            return value.upper() in _TRUE
    return False


@dataclasses.dataclass(frozen=True)
class FileRecord:
    """The size in bytes and the SHA-256 in hex of a downloaded file."""

    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Slot:
    """The folder of one source in the cache, empty or filled.

    source: the normalized source. label: the readable part of the folder's name.
    """

    source: str
    label: str

    @property
    def folder(self) -> Path:
        """The slot's folder, which may not exist yet."""
        label = re.sub(r"[^A-Za-z0-9.+!_-]", "-", self.label)
        return (
            root() / "models" / f"{label}-{hashlib.sha256(self.source.encode()).hexdigest()[:12]}"
        )

    def find(self, pinned: Mapping[str, str] | None, *, rehash: bool = False) -> Path | None:
        """The model folder if it is complete, or None.

        It is complete if every file of the receipt has the recorded size, and the receipt has the
        `pinned` digests, if given. Files are not read, so the time does not grow with their size.

        rehash: whether to compare the contents of the files too.
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
    def lock(self, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Lock the slot for this process; call `on_wait` while another process has the lock."""
        with self._cache_errors():
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            lock_file = _lock_path(self.folder).open("ab")
        with lock_file:
            with self._cache_errors():
                while not try_lock(lock_file.fileno()):
                    on_wait()
                    time.sleep(_POLL_SECONDS)
                self._remove_partial_folders()
            yield

    @contextlib.contextmanager
    def scratch_folder(self) -> Iterator[Path]:
        """A temporary folder for use while the slot is locked; it is removed at the end."""
        with self._cache_errors():
            prefix = f"{self.folder.name}.partial-"
            scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=self.folder.parent))
            try:
                yield scratch
            finally:
                shutil.rmtree(scratch, ignore_errors=True)

    def store(self, model: Path, files: Mapping[str, FileRecord]) -> Path:
        """Move a complete model folder, whose files are synced, into the slot; return its new path.

        model: a folder inside the one that `scratch_folder` returned.
        """
        entry = model.parent / "entry"
        entry.mkdir()
        model.rename(entry / "model")
        receipt = {
            "source": self.source,
            "files": {n: [f.size, f.sha256] for n, f in files.items()},
        }
        (entry / "receipt.json").write_text(json.dumps(receipt, indent=1), encoding="utf-8")
        # An existing folder is damaged, or has other digests.
        publish_folder(entry, self.folder, displaced=model.parent / "replaced")
        return self.folder / "model"

    def _receipt(self) -> dict[str, FileRecord] | None:
        try:
            receipt = json.loads((self.folder / "receipt.json").read_text(encoding="utf-8"))
            return {name: FileRecord(*record) for name, record in receipt["files"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None  # missing, or not written by `store`

    def _remove_partial_folders(self) -> None:
        """Remove what killed downloads have left, in this slot and in other unlocked slots."""
        for partial in self.folder.parent.glob("*.partial-*"):
            slot_folder = partial.with_name(partial.name.partition(".partial-")[0])
            if slot_folder == self.folder:
                shutil.rmtree(partial, ignore_errors=True)
                continue
            with _lock_path(slot_folder).open("ab") as lock_file:
                if try_lock(lock_file.fileno()):
                    shutil.rmtree(partial, ignore_errors=True)

    @contextlib.contextmanager
    def _cache_errors(self) -> Iterator[None]:
        """Raise a SourceError that names the cache folder for every OSError."""
        try:
            yield
        except SourceError:
            raise
        except OSError as error:
            raise SourceError(
                f"{self.source}: the cache folder {root()} cannot be written: "
                f"{error.strerror or error}; free disk space, or set BOTHWAYS_CACHE to "
                "another folder"
            ) from error


def _digests(receipt: Mapping[str, FileRecord]) -> dict[str, str]:
    return {name: record.sha256 for name, record in receipt.items()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")

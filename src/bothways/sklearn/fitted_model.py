"""A trained model that travels with its estimator: a folder while in use, bytes in a pickle."""

import shutil
import tempfile
import weakref
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import bothways
from bothways.checkpoints.bothways_folder import SETTINGS_FILE, WEIGHTS_FILE
from bothways.checkpoints.model_bundle import READER_FILES
from bothways.encoder import Encoder
from bothways.inference.backends import BackendName

__all__ = ["KeptModel"]


class KeptModel:
    """A model folder of our own, removed when nobody needs it any more.

    make: is called with an empty folder, and leaves a model folder there; other files are dropped.
    """

    def __init__(self, make: Callable[[Path], None], *, backend: BackendName) -> None:
        self._backend = backend
        self._path = self._new_folder()
        make(self._path)
        for path in self._path.iterdir():
            if path.name not in (SETTINGS_FILE, WEIGHTS_FILE, *READER_FILES):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    @cached_property
    def encoder(self) -> Encoder:
        """The model, loaded."""
        return bothways.load(self._path, backend=self._backend)

    def save(self, out: Path) -> None:
        """Copy the model folder."""
        shutil.copytree(self._path, out)

    def _new_folder(self) -> Path:
        path = Path(tempfile.mkdtemp(prefix="bothways-"))
        weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)
        return path

    def __getstate__(self) -> dict[str, Any]:
        """The files, in bytes."""
        files = {path.name: path.read_bytes() for path in self._path.iterdir()}
        return {"files": files, "backend": self._backend}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Lay the files into a folder again."""
        self._backend = state["backend"]
        self._path = self._new_folder()
        for name, content in state["files"].items():
            (self._path / name).write_bytes(content)

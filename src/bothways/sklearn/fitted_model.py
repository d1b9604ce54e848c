"""`FittedModel`: the trained model of an estimator, a temporary folder that can be pickled."""

import shutil
import tempfile
import weakref
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import bothways
from bothways.checkpoints.bothways_folder import SETTINGS_FILE, WEIGHTS_FILE
from bothways.checkpoints.reader_files import READER_FILES
from bothways.encoder import Encoder
from bothways.inference.backends import BackendName
from bothways.io.atomic import atomic_folder

__all__ = ["FittedModel"]


class FittedModel:
    """A model in a temporary folder, which is removed when the object is deleted.

    train: writes a model folder into the empty folder that it is called with; files that are not
        part of the model are deleted.
    """

    def __init__(self, train: Callable[[Path], None], *, backend: BackendName) -> None:
        self._backend = backend
        self._path = self._new_folder()
        train(self._path)
        for path in self._path.iterdir():
            if path.name not in (SETTINGS_FILE, WEIGHTS_FILE, *READER_FILES):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    @cached_property
    def encoder(self) -> Encoder:
        """The loaded model."""
        return bothways.load(self._path, backend=self._backend)

    def save(self, out: Path) -> None:
        """Copy the model folder.

        Raises:
            DataFileError: if `out` exists and is not empty, or cannot be written.
        """
        with atomic_folder(out) as folder:
            for path in self._path.iterdir():
                shutil.copyfile(path, folder / path.name)

    def _new_folder(self) -> Path:
        path = Path(tempfile.mkdtemp(prefix="bothways-"))
        weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)
        return path

    def __getstate__(self) -> dict[str, Any]:
        """The contents of the files."""
        files = {path.name: path.read_bytes() for path in self._path.iterdir()}
        return {"files": files, "backend": self._backend}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Write the files into a new folder."""
        self._backend = state["backend"]
        self._path = self._new_folder()
        for name, content in state["files"].items():
            (self._path / name).write_bytes(content)

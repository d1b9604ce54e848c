"""Replacement of a run by another in the same folder."""

import shutil
from pathlib import Path

from bothways.checkpoints.bothways_folder import SETTINGS_FILE, WEIGHTS_FILE
from bothways.checkpoints.reader_files import READER_FILES
from bothways.errors import ConfigError, DataFileError
from bothways.files.inputs import find_files
from bothways.io.atomic import is_partial, wrap_write_errors
from bothways.training.runs.events import METRICS_FILE
from bothways.training.runs.lock import LOCK_FILE

__all__ = ["check_inputs_outside", "check_replaceable", "remove_run"]

_RUN_FILES = frozenset(
    (
        *("training.json", METRICS_FILE, "checkpoints", "tensorboard"),
        *(SETTINGS_FILE, WEIGHTS_FILE, *READER_FILES),
        *("report.md", "report.html", "report", "learning_curve.png"),
    )
)


def check_replaceable(folder: Path) -> None:
    """Check that a folder contains nothing but a run.

    Raises:
        DataFileError: naming a file that is no part of a run, or the file that makes one.
    """
    paths = folder.iterdir() if folder.is_dir() else ()
    names = [path.name for path in paths if not is_partial(path) and path.name != LOCK_FILE]
    for name in sorted(names):
        if name not in _RUN_FILES:
            raise DataFileError(
                f"{folder / name}: is no part of a run, and --overwrite removes only runs; move "
                "it, or choose another folder"
            )
    if names and not (folder / "training.json").exists() and SETTINGS_FILE in names:
        raise DataFileError(
            f"{folder}: is a model and not a run (training.json is missing), and --overwrite "
            "removes only runs; choose another folder"
        )


def check_inputs_outside(folder: Path, inputs: tuple[str, ...]) -> None:
    """Check that no file or model that a run reads is in the folder that it replaces.

    inputs: their names, as users give them: also patterns, for the files that match.

    Raises:
        ConfigError: naming the input.
    """
    for name in inputs:
        for path in [name] if Path(name).exists() else find_files(name):
            if Path(path).exists() and Path(path).resolve().is_relative_to(folder.resolve()):
                raise ConfigError(f"{path}: is in {folder}, which --overwrite removes")


def remove_run(folder: Path) -> None:
    """Remove a run's files; its description last, so that a folder cut off here is still a run.

    Raises:
        DataFileError: if a file is no part of a run, or cannot be removed.
    """
    check_replaceable(folder)
    if not folder.is_dir():
        return
    entries = (path for path in folder.iterdir() if path.name != LOCK_FILE)
    paths = sorted(entries, key=lambda path: path.name == "training.json")
    with wrap_write_errors(folder):
        for path in paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

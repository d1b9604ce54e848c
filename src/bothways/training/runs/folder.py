"""A run's folder: an ordinary model folder, with what the run is and where it is beside the model.

OUT/bothways.json, model.safetensors, ...   the best weights so far: what `bothways.load` reads
OUT/training.json                           what the run is: settings, data, versions
OUT/metrics.jsonl                           how it went, step by step
OUT/checkpoints/step-00000200/              all that is needed to go on
OUT/checkpoints/best.safetensors            the best weights, as they are trained
"""

import dataclasses
import json
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bothways import __version__
from bothways.checkpoints import ModelFolder
from bothways.checkpoints.bothways_folder import SETTINGS_FILE, write_bothways
from bothways.checkpoints.model_folder import READER_FILES
from bothways.checkpoints.weight_files import read_safetensors, write_safetensors
from bothways.errors import CheckpointError, DataFileError
from bothways.io.atomic import (
    atomic_file,
    atomic_files,
    is_partial,
    remove_partial,
    wrap_write_errors,
)
from bothways.io.json_files import brief, read_object, write_json
from bothways.model.old_fields import upgrade_encoder_fields
from bothways.training.objectives.objective import Objective
from bothways.training.runs.checkpoint import (
    Checkpoint,
    checkpoints_in,
    drop_old,
    load_checkpoint,
    save_checkpoint,
)
from bothways.training.runs.events import METRICS_FILE, forget_after
from bothways.training.settings import TrainingSettings

__all__ = ["RUN_FILE", "RunFolder"]

RUN_FILE = "training.json"
_CHECKPOINTS = "checkpoints"
_BEST = "best.safetensors"
_MODEL = "model.safetensors"


class RunFolder:
    """Where one run is kept. One process writes to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics = path / METRICS_FILE
        self.checkpoints = path / _CHECKPOINTS

    @property
    def last_good(self) -> Path | None:
        """The newest checkpoint, if there is one."""
        return next(reversed(checkpoints_in(self.checkpoints)), None)

    def begin(self, description: Mapping[str, Any]) -> None:
        """Make the folder for a new run, and say in it what the run is.

        Raises:
            DataFileError: if a run is there already, or it cannot be written.
        """
        for taken in (RUN_FILE, METRICS_FILE, SETTINGS_FILE, "config.json"):
            if (self.path / taken).exists():
                raise DataFileError(
                    f"{self.path}: has a {taken} already; go on with the run that is there with "
                    "--resume (resume=True), or choose another folder"
                )
        with wrap_write_errors(self.path):
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self._clear_away()
        with atomic_file(self.path / RUN_FILE) as hidden:
            write_json(hidden, description)

    def resume(self, description: Mapping[str, Any], settings: TrainingSettings) -> None:
        """Make sure that the run in the folder is this one, and clear away what was half written.

        A run that was cut before it could say what it is begins.

        Raises:
            CheckpointError: if there is none, or a setting or the data differ: names the field.
        """
        file = self.path / RUN_FILE
        if not file.is_file():
            if not self._was_hardly_begun():
                raise CheckpointError(f"{self.path}: there is no run to resume: no {RUN_FILE}")
            self.begin(description)
            return
        earlier = read_object(file)
        bound = json.loads(json.dumps(description["bound"]))
        found = first_difference(upgrade_bound(earlier.get("bound")), bound, "")
        if found is not None:
            raise _changed(file, *found)
        before = earlier.get("settings")
        before = before if isinstance(before, dict) else {}
        name = settings.difference(before)  # after the data, which some are chosen by
        if name is not None:
            raise _changed(file, f"settings.{name}", before.get(name), settings.to_dict()[name])
        with wrap_write_errors(self.path):
            self.checkpoints.mkdir(exist_ok=True)
            self._clear_away()
            drop_old(self.checkpoints, settings.keep_checkpoints)

    def load(self) -> Checkpoint | None:
        """The newest checkpoint, if there is one.

        Raises:
            CheckpointError: if it is damaged; says how to go on from the one before.
        """
        newest = self.last_good
        if newest is None:
            return None
        try:
            return load_checkpoint(newest)
        except CheckpointError as error:
            raise CheckpointError(
                f"{error}; remove {newest} to go on from the checkpoint before it"
            ) from error

    def forget_after(self, step: int) -> None:
        """Take back what was told of later steps than the checkpoint's."""
        forget_after(self.metrics, step)

    def save(self, checkpoint: Checkpoint, *, keep: int) -> Path:
        """Write a checkpoint; the newest `keep` remain.

        Raises:
            DataFileError: if it cannot be written; those before it are as they were.
        """
        return save_checkpoint(self.checkpoints, checkpoint, keep=keep)

    def keep_best(
        self, weights: Mapping[str, np.ndarray], objective: Objective, template: ModelFolder
    ) -> None:
        """Make these weights the model of the folder.

        Raises:
            DataFileError: if it cannot be written; the model before it is as it was.
        """
        with atomic_file(self.checkpoints / _BEST) as hidden:
            write_safetensors(hidden, weights)
        with atomic_files(self.path, last=SETTINGS_FILE) as hidden:
            with wrap_write_errors(self.path / _MODEL):
                write_bothways(hidden, trained_folder(weights, objective, template))
            for name in READER_FILES:
                if (template.reader_path / name).is_file():
                    with wrap_write_errors(self.path / name):
                        shutil.copyfile(template.reader_path / name, hidden / name)

    def _was_hardly_begun(self) -> bool:
        """Whether the folder holds what a run makes before its training.json, and nothing else."""
        early = {*READER_FILES, _CHECKPOINTS}
        return self.path.is_dir() and all(
            path.name in early or is_partial(path) for path in self.path.iterdir()
        )

    def _clear_away(self) -> None:
        """Remove what was left half written when the run was killed."""
        remove_partial(self.path)
        remove_partial(self.checkpoints)

    def best(self) -> dict[str, np.ndarray]:
        """The best weights so far, as they are trained."""
        return read_safetensors(self.checkpoints / _BEST)


def trained_folder(
    weights: Mapping[str, np.ndarray], objective: Objective, template: ModelFolder
) -> ModelFolder:
    """The template with trained weights in it, and the objective's head in place of its heads."""
    kept = objective.to_folder(weights)
    return dataclasses.replace(
        template,
        weights={name: array for name, array in kept.items() if not name.startswith("heads.")},
        heads={name: array for name, array in kept.items() if name.startswith("heads.")},
        head_configs=() if objective.head is None else (objective.head,),
        unread_heads="",
    )


def describe(
    settings: TrainingSettings, bound: Mapping[str, Any], processes: int
) -> dict[str, Any]:
    """What a run is, for its training.json; it is resumed only with the same `bound`."""
    import torch

    return {
        "settings": settings.to_dict(),
        "bound": dict(bound),
        "processes": processes,
        "versions": {
            "bothways": __version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }


def upgrade_bound(bound: Any) -> Any:
    """What a run is bound to, with the encoder's fields under today's names."""
    if not isinstance(bound, dict) or not isinstance(bound.get("encoder"), dict):
        return bound
    return bound | {"encoder": upgrade_encoder_fields(bound["encoder"])}


def first_difference(was: Any, now: Any, name: str) -> tuple[str, Any, Any] | None:
    """The dotted name of a field that differs between two JSON values, and its two values."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted(was.keys() | now.keys()):
            inner = f"{name}.{key}" if name else key
            found = first_difference(was.get(key), now.get(key), inner)
            if found is not None:
                return found
        return None
    return None if was == now else (name, was, now)


def _changed(file: Path, name: str, was: Any, now: Any) -> CheckpointError:
    return CheckpointError(
        f"{file}: {name} was {brief(was)} and is now {brief(now)}; a run is resumed as it began: "
        "give the value it had, or start anew in another folder"
    )

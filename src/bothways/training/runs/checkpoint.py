"""All that a run needs to go on from where it was: weights, the optimizer's state, and figures.

A checkpoint is a folder `step-00000200` of two safetensors files and a JSON file. It appears under
its name when all of it is on the disk, so a folder of that name is a whole one.
"""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from bothways.checkpoints.weight_files import read_safetensors, write_safetensors
from bothways.errors import CheckpointError
from bothways.io.atomic import atomic_folder, wrap_write_errors
from bothways.io.json_files import read_object, write_json

__all__ = [
    "Checkpoint",
    "RunState",
    "checkpoints_in",
    "drop_old",
    "load_checkpoint",
    "save_checkpoint",
]

_N = TypeVar("_N", int, float)

_WEIGHTS, _MOMENTS, _STATE = "model.safetensors", "optimizer.safetensors", "state.json"


@dataclasses.dataclass(kw_only=True)
class RunState:
    """Where a run is.

    step: updates made. tokens: seen, of all processes. seconds: spent. best_step, best_value and
    best_loss: of the validation that was best so far; None before there is one.
    validations_since_best: as it says. validation_is_due: whether the weights are still to be
    validated, of a run that was stopped before it came to that. finished: whether all is done.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best_step: int | None = None
    best_value: float | None = None
    best_loss: float | None = None
    validations_since_best: int = 0
    validation_is_due: bool = False
    finished: bool = False

    @classmethod
    def read(cls, path: Path) -> Self:
        """The state in a JSON file.

        Raises:
            CheckpointError: naming the file.
        """
        values = read_object(path)
        try:
            return cls(
                step=int(values["step"]),
                tokens=int(values["tokens"]),
                seconds=float(values["seconds"]),
                best_step=_optional(int, values["best_step"]),
                best_value=_optional(float, values["best_value"]),
                best_loss=_optional(float, values["best_loss"]),
                validations_since_best=int(values["validations_since_best"]),
                validation_is_due=bool(values["validation_is_due"]),
                finished=bool(values["finished"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: not the state of a run: {error}") from None


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """weights: float32, under their names in a model file. moments: as `optimizer.moments` says."""

    state: RunState
    weights: Mapping[str, np.ndarray]
    moments: Mapping[str, np.ndarray]


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: int) -> Path:
    """Write a checkpoint into `folder`, of which the newest `keep` then remain.

    Raises:
        DataFileError: if it cannot be written; those before it are as they were.
    """
    path = folder / f"step-{checkpoint.state.step:08d}"
    if path.exists():  # of a run that was resumed where it had ended
        shutil.rmtree(path)
    with atomic_folder(path) as hidden:
        with wrap_write_errors(path / _WEIGHTS):
            write_safetensors(hidden / _WEIGHTS, checkpoint.weights)
        with wrap_write_errors(path / _MOMENTS):
            write_safetensors(hidden / _MOMENTS, checkpoint.moments)
        with wrap_write_errors(path / _STATE):
            write_json(hidden / _STATE, dataclasses.asdict(checkpoint.state))
    drop_old(folder, keep)
    return path


def drop_old(folder: Path, keep: int) -> None:
    """Remove all checkpoints but the newest `keep`."""
    for old in checkpoints_in(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)


def checkpoints_in(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    return sorted(folder.glob("step-" + "[0-9]" * 8))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        CheckpointError: if a file is missing or damaged.
    """
    return Checkpoint(
        RunState.read(path / _STATE),
        read_safetensors(path / _WEIGHTS),
        read_safetensors(path / _MOMENTS),
    )


def _optional(kind: type[_N], value: Any) -> _N | None:
    return None if value is None else kind(value)
